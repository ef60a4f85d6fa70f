#include "tests/source.h"

#include <cstdlib>

#include "tests/endurance/interposed.h"

namespace {

std::string variable(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

}  // namespace

std::filesystem::path source(const std::string& relative) {
  return std::filesystem::path(variable("CSREFT_SOURCE", CSREFT_SOURCE)) / relative;
}

std::string tested_program() { return variable("CSREFT_PROGRAM", CSREFT_PROGRAM); }

bool has_mpi() { return CSREFT_MPI; }

std::filesystem::path interposed_library() { return CSREFT_INTERPOSED; }

bool has_whole_source() { return std::filesystem::exists(source("experiments/main.cpp")); }
