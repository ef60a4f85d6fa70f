// The primitives of core/ops.h and their twins on CUDA devices.
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "tests/source.h"

namespace {

std::set<std::string> declared_functions(const std::string& name) {
  std::ifstream header(source(name));
  REQUIRE_MESSAGE(header.is_open(), name);
  const std::regex declaration(R"(^(?:Tensor|void|double|[A-Z]\w+) (\w+)\()");
  std::set<std::string> names;
  for (std::string line; std::getline(header, line);) {
    if (std::smatch match; std::regex_search(line, match, declaration)) names.insert(match[1]);
  }
  return names;
}

// The name in a backend: without the underscore of those that write into an argument.
std::string name_in_backend(const std::string& primitive) {
  static const std::map<std::string, std::string> special{{"add_", "axpy"}, {"matmul_add_", "matmul"}};
  if (const auto found = special.find(primitive); found != special.end()) return found->second;
  return primitive.ends_with('_') ? primitive.substr(0, primitive.size() - 1) : primitive;
}

}  // namespace

TEST_CASE("every primitive that ops.h declares has a twin on CUDA devices") {
  const auto primitives = declared_functions("core/ops.h");
  const auto twins = declared_functions("core/cuda/ops.h");
  CHECK(primitives.size() >= 40);
  for (const auto& primitive : primitives) {
    CHECK_MESSAGE(twins.contains(name_in_backend(primitive)), "ops.h declares ", primitive, ", core/cuda/ops.h has no ",
                  name_in_backend(primitive));
  }
}
