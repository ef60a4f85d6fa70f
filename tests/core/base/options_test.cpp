#include "core/base/options.h"

#include <algorithm>
#include <array>

#include <doctest/doctest.h>

#include "tests/error_text.h"

using csreft::ChoiceEntry;
using csreft::Chosen;
using csreft::Options;
using nlohmann::json;

namespace {

struct Shape {
  virtual ~Shape() = default;
  virtual void describe(Options& options) = 0;
};
struct Circle final : Shape {
  double radius = 1.0;
  void describe(Options& options) override { options.add("radius", radius, "of the circle", csreft::positive()); }
};
struct Square final : Shape {
  std::int64_t side = 2;
  void describe(Options& options) override { options.add("side", side, "of the square", csreft::at_least(1)); }
};

const ChoiceEntry<Shape> circle{"circle", "round", [] { return std::make_unique<Circle>(); }};
const ChoiceEntry<Shape> square{"square", "not round", [] { return std::make_unique<Square>(); }};
constexpr std::array shapes{&circle, &square};

struct Drawing {
  std::string title = "none";
  bool filled = false;
  std::uint64_t seed = 0;
  std::vector<std::string> colours{"red"};
  Chosen<Shape> shape{shapes, "shape", "circle"};

  void describe(Options& options) {
    options.add("title", title, "in print");
    options.add("filled", filled, "inside, too");
    options.add("seed", seed, "of nothing");
    options.add("colours", colours, "of the lines");
    options.choose("shape", shape, "what is drawn");
  }
};

std::string refusal(const json& given, std::string_view where = {}) {
  Drawing drawing;
  return error_text([&] { csreft::set_options(drawing, given, where); });
}

}  // namespace

TEST_CASE("options are written and read back, those of the chosen entry among them") {
  Drawing drawing;
  CHECK(csreft::options_json(drawing) == json{{"title", "none"},
                                              {"filled", false},
                                              {"seed", 0},
                                              {"colours", json::array({"red"})},
                                              {"shape", "circle"},
                                              {"radius", 1.0}});
  const json given{{"shape", "square"}, {"side", 5}, {"colours", "red,blue"}, {"filled", true}, {"title", "x"}};
  csreft::set_options(drawing, given);
  const json all = csreft::options_json(drawing);
  CHECK(all.at("side") == 5);
  CHECK(all.at("colours") == json::array({"red", "blue"}));
  CHECK_FALSE(all.contains("radius"));
  Drawing again;
  csreft::set_options(again, all);
  CHECK(csreft::options_json(again) == all);
  CHECK(csreft::option_names(again) == std::vector<std::string>{"title", "filled", "seed", "colours", "shape", "side"});
}

TEST_CASE("a copy of a chosen entry has options of its own") {
  Drawing first;
  csreft::set_options(first, {{"shape", "square"}, {"side", 7}});
  Drawing second = first;
  csreft::set_options(second, {{"side", 8}});
  CHECK(csreft::options_json(first).at("side") == 7);
  CHECK(csreft::options_json(second).at("side") == 8);
}

TEST_CASE("values of another type, out of range, or of unknown names are refused in a line") {
  CHECK(refusal({{"radius", 0.0}}) == "--radius 0 is not possible: expected a number more than 0");
  CHECK(refusal({{"radius", "wide"}}, "f.json: ") == "f.json: `radius` is \"wide\": expected a number more than 0");
  CHECK(refusal({{"seed", -1}}) == "`seed` is -1: expected a whole number of 0 or more");
  CHECK(refusal({{"seed", 1.5}}) == "`seed` is 1.5: expected a whole number of 0 or more");
  CHECK(refusal({{"filled", 1}}) == "`filled` is 1: expected on or off");
  CHECK(refusal({{"colours", json::array({1})}}) == "`colours` is [1]: expected a list");
  CHECK(contains(refusal({{"shape", "sqare"}}), "unknown shape 'sqare' (did you mean square?)"));
  // The circle has no side.
  CHECK(contains(refusal({{"side", 3}}), "option 'side' is unknown"));
  CHECK(contains(refusal({{"titel", "x"}}), "option 'titel' is unknown (did you mean title?)"));
  CHECK(refusal({{"shape", "square"}, {"side", 0}}) == "--side 0 is not possible: expected 1 or more");
}

TEST_CASE("a flag's text is a value of the option's type, or refused by the flag's name") {
  bool on = false;
  std::int64_t whole = 0;
  double number = 0.0;
  const auto parse = [](const char* name, csreft::OptionValue value, const std::string& text) {
    return csreft::parse_option({name, "", value, {}, {}, {}}, text);
  };
  CHECK(parse("on_top", &on, "on") == true);
  CHECK(parse("n", &whole, "-3") == -3);
  CHECK(parse("x", &number, "1e-3") == 1e-3);
  CHECK(contains(error_text([&] { parse("router_lr", &number, "fast"); }),
                 "--router-lr 'fast' is not understood: expected a number"));
  CHECK(
      contains(error_text([&] { parse("n", &whole, "3.5"); }), "--n '3.5' is not understood: expected a whole number"));
}
