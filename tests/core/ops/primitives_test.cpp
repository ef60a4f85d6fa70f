// The primitives of core/ops/ops.h and their twins on CUDA devices.
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/source.h"

namespace {

// The first group of the pattern in each line of a file of the project's source.
std::set<std::string> names_in(const std::string& file, const std::regex& pattern) {
  std::ifstream stream(source(file));
  REQUIRE_MESSAGE(stream.is_open(), file);
  std::set<std::string> names;
  for (std::string line; std::getline(stream, line);) {
    if (std::smatch match; std::regex_search(line, match, pattern)) names.insert(match[1]);
  }
  return names;
}

std::set<std::string> listed_primitives() {
  return names_in("core/device/primitives.inc", std::regex(R"(^PRIMITIVE\(\w+, (\w+),)"));
}

// What the files of a backend define.
std::set<std::string> defined_functions(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(source(folder))) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(".cpp") && !file.ends_with(".cu")) continue;
    names.merge(names_in(fmt::format("{}/{}", folder, file), std::regex(R"(^(?:void|double) (\w+)\()")));
  }
  return names;
}

// The name in a backend: without the underscore of those that write into an argument. A product that is added to
// what is there is the same primitive.
std::string name_in_backend(const std::string& primitive) {
  if (primitive == "add_") return "axpy";
  return std::regex_replace(primitive, std::regex("^(matmul.*)_add_$|_$"), "$1");
}

}  // namespace

TEST_CASE("every primitive that ops.h declares is in the list of what a backend has") {
  const auto primitives =
      names_in("core/ops/ops.h", std::regex(R"(^(?:Tensor|std::vector<Tensor>|void|double|[A-Z]\w+) (\w+)\()"));
  const auto listed = listed_primitives();
  CHECK(primitives.size() >= 40);
  for (const auto& primitive : primitives) {
    CHECK_MESSAGE(listed.contains(name_in_backend(primitive)), "ops.h declares ", primitive,
                  ", core/device/primitives.inc has no ", name_in_backend(primitive));
  }
}

TEST_CASE("every primitive has a twin on CUDA devices") {
  const auto on_cpu = defined_functions("core/cpu"), on_cuda = defined_functions("core/cuda");
  const auto listed = listed_primitives();
  CHECK(listed.size() >= 40);
  for (const auto& name : listed) {
    CHECK_MESSAGE(on_cpu.contains(name), "core/device/primitives.inc has ", name, ", core/cpu does not define it");
    CHECK_MESSAGE(on_cuda.contains(name), "core/device/primitives.inc has ", name, ", core/cuda does not define it");
  }
}
