#include "core/base/json_file.h"

#include <doctest/doctest.h>

using csreft::first_difference;
using nlohmann::json;

TEST_CASE("the first difference of two objects is named with both values") {
  const json a{{"lr", 0.004}, {"layers", {6, 12}}, {"train", {{"x", {{"n", 4}}}}}};
  CHECK(first_difference(a, a).empty());
  json b = a;
  b["lr"] = 0.01;
  CHECK(first_difference(a, b) == "lr: 0.004 there, 0.01 here");
  b = a;
  b["layers"].push_back(18);
  CHECK(first_difference(a, b) == "layers: [6,12] there, [6,12,18] here");
  b = a;
  b["train"]["x"]["n"] = 5;
  CHECK(first_difference(a, b) == "train/x/n: 4 there, 5 here");
  b = a;
  b.erase("lr");
  CHECK(first_difference(a, b) == "lr: 0.004 there, nothing here");
  CHECK(first_difference(b, a) == "lr: nothing there, 0.004 here");
}

TEST_CASE("values that are nested too deep are refused, however deep they are") {
  const auto nested = [](std::size_t depth) {
    return "{\"a\": " + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  CHECK(csreft::parse_json_object(nested(63), "file").contains("a"));
  for (const std::size_t depth : {64U, 1'000'000U}) {
    CHECK_THROWS_WITH_AS(csreft::parse_json_object(nested(depth), "file"),
                         doctest::Contains("nested more than 64 deep"), csreft::Error);
  }
}
