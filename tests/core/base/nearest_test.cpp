#include "core/base/nearest.h"

#include <array>

#include <doctest/doctest.h>

namespace {

constexpr std::array<std::string_view, 5> methods{"csreft", "loreft", "lora", "red", "noreft"};

}  // namespace

TEST_CASE("the nearest name is the one with the fewest changed letters") {
  CHECK(csreft::nearest("lorft", methods) == "loreft");
  CHECK(csreft::nearest("csrefd", methods) == "csreft");
  CHECK(csreft::nearest("lor", methods) == "lora");
  CHECK(csreft::nearest("red", methods) == "red");
  CHECK(csreft::nearest("noreft", methods) == "noreft");
}

TEST_CASE("two neighbouring letters in the wrong order are one edit") {
  CHECK(csreft::nearest("loar", methods) == "lora");
  constexpr std::array<std::string_view, 2> flags{"--rank", "--lr"};
  CHECK(csreft::nearest("--rnak", flags) == "--rank");
  CHECK(csreft::nearest("aolr", methods).empty());  // letters that are not neighbours
}

TEST_CASE("a word that is near to none, or no candidates, give nothing") {
  CHECK(csreft::nearest("transformer", methods).empty());
  CHECK(csreft::nearest("", methods).empty());
  CHECK(csreft::nearest("lora", {}).empty());
}

TEST_CASE("a suggestion is the end of an error's sentence") {
  CHECK(csreft::suggestion("lorefd", methods) == " (did you mean loreft?)");
  CHECK(csreft::suggestion("transformer", methods).empty());
}
