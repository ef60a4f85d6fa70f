// Means, differences and tables of cells whose numbers were worked out by hand.
#include "experiments/ablations/tables.h"

#include <cmath>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/error_text.h"

namespace csreft {
namespace {

using Marks = std::vector<bool>;

// A cell of the tasks a and b; the marks say which examples are right.
Cell cell(const std::string& variant, std::uint64_t seed, const Marks& a, const Marks& b) {
  Cell made;
  made.variant = variant;
  made.seed = seed;
  for (const auto& [task, marks] : {std::pair("a", a), std::pair("b", b)}) {
    double right = 0.0;
    for (std::size_t i = 0; i < marks.size(); ++i) {
      made.answers.push_back({.task = task, .index = static_cast<std::int64_t>(i), .correct = marks[i]});
      right += marks[i] ? 1.0 : 0.0;
    }
    made.scores.push_back({.task = task,
                           .metric = "accuracy",
                           .value = right / static_cast<double>(marks.size()),
                           .n = std::ssize(marks)});
  }
  made.summary = nlohmann::json::object();
  return made;
}

// Means .375 and .75 with seed 0, .25 and .375 with seed 1.
std::vector<Cell> cells() {
  return {cell("first", 0, {true, false, false, false}, {true, false}),
          cell("second", 0, {true, true, false, false}, {true, true}),
          cell("first", 1, {true, true, false, false}, {false, false}),
          cell("second", 1, {true, true, true, false}, {false, false})};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a spread has the sample's deviation, and the mean's error") {
  const std::vector<double> values{1.0, 3.0, 5.0};
  const Spread spread = spread_of(values);
  CHECK(spread.mean == doctest::Approx(3.0));
  CHECK(spread.deviation == doctest::Approx(2.0));
  CHECK(*standard_error(spread) == doctest::Approx(2.0 / std::sqrt(3.0)));
  CHECK_FALSE(deviation_of(spread_of(std::vector{1.0})).has_value());
}

TEST_CASE("the difference of two variants is paired by seed") {
  const auto difference = difference_of(cells(), "first", "second");
  REQUIRE(difference.has_value());
  // .375 and .125
  CHECK(difference->mean == doctest::Approx(0.25));
  CHECK(difference->over_seeds.deviation == doctest::Approx(0.25 / std::sqrt(2.0)));
  CHECK(*standard_error(difference->over_seeds) == doctest::Approx(0.125));
  CHECK(difference->interval.low < 0.25);
  CHECK(difference->interval.high > 0.25);
  const auto reverse = difference_of(cells(), "second", "first");
  CHECK(reverse->mean == doctest::Approx(-0.25));
  CHECK(reverse->interval.low == doctest::Approx(-difference->interval.high));

  // With one seed in common, only that one counts, and only its examples are drawn.
  auto fewer = cells();
  fewer.erase(fewer.begin() + 2);
  const auto one = difference_of(fewer, "first", "second");
  CHECK(one->mean == doctest::Approx(0.375));
  const Interval expected = bootstrap_interval(std::vector<std::vector<double>>{{0, 1, 0, 0}, {0, 1}});
  CHECK(one->interval.low == doctest::Approx(expected.low));
  CHECK(one->interval.high == doctest::Approx(expected.high));
}

TEST_CASE("there is no difference of answers to other examples") {
  auto other = cells();
  other[1].answers[0].index = 7;
  CHECK_FALSE(difference_of(other, "first", "second").has_value());
  CHECK_FALSE(difference_of(cells(), "first", "third").has_value());
}

TEST_CASE("seeds that differ widen an interval that the examples alone leave at a point") {
  // All examples of the first seed differ by 1, none of the second: means of two seeds drawn are 0, .5 or 1.
  const std::vector<std::vector<std::vector<double>>> seeds{{{1, 1, 1}}, {{0, 0, 0}}};
  const Interval interval = two_level_interval(seeds);
  CHECK(interval.low == doctest::Approx(0.0));
  CHECK(interval.high == doctest::Approx(1.0));
  const Interval of_one = two_level_interval(std::span(seeds).first(1));
  CHECK(of_one.low == doctest::Approx(1.0));
  CHECK_THROWS(two_level_interval(std::vector<std::vector<std::vector<double>>>{}));
  CHECK_THROWS(two_level_interval(std::vector<std::vector<std::vector<double>>>{{{1.0}}, {{1.0, 0.0}}}));
}

TEST_CASE("the summary gives each variant's difference to its reference") {
  const auto lines =
      lines_of(summary_tsv(cells(), std::nullopt, [](const std::string&) { return std::string("first"); }));
  // A line for each task and the mean, of each variant.
  REQUIRE(lines.size() == 1 + 2 * 3);
  CHECK(lines[1].starts_with("first\ta\t0.3750\t0.1768\t2\t\t"));
  CHECK(lines[3].starts_with("first\tmean_accuracy\t0.3125\t0.0884\t2\t\t"));
  CHECK(lines[6].starts_with("second\tmean_accuracy\t0.5625\t0.2652\t2\t0.2500\t"));
  CHECK(lines[6].ends_with("\t0.1768\t0.1250\tfirst"));
}

TEST_CASE("a cell that diverged says so in its line, and a drift needs the untrained model's") {
  auto some = cells();
  some[1].summary["diverged"] = "the loss is not finite";
  some[1].elsewhere = 2.5;
  some[3].summary["kept_numbers"] = 7;
  Cell untrained = cell("untrained", 0, {false, false, false, false}, {false, false});
  untrained.elsewhere = 2.0;
  const auto lines = lines_of(cells_tsv(some, untrained));
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].starts_with("variant\tseed\ttrainable_parameters\ta\tb\tmean_accuracy\t"));
  CHECK(lines[0].ends_with("\tdrift\tmilliseconds_a_step\tdiverged\tkept_numbers"));
  CHECK(lines[1].ends_with("\t"));
  CHECK(lines[2].ends_with("\tyes\t"));
  CHECK(lines[4].ends_with("\t\t7"));
  CHECK(contains(lines[2], "\t0.5000\t"));
  CHECK(*drift(some[1], untrained) == doctest::Approx(0.5));
  CHECK_FALSE(drift(some[1], std::nullopt).has_value());
}

}  // namespace csreft
