#include "experiments/report/uncertainty.h"

#include <cmath>

#include <doctest/doctest.h>

#include "tests/error_text.h"

namespace {

using csreft::bootstrap_interval;
using csreft::differences_of;
using csreft::paired_difference;
using csreft::wilson_interval;

using Values = std::vector<double>;

}  // namespace

TEST_CASE("Wilson's interval has the values of its formula, and a length at both ends") {
  // By hand, z = 1.96: 5 of 10 is (0.5 + 0.19207 -+ 0.36462) / 1.38415; rounded there to four digits.
  CHECK(wilson_interval(0.5, 10).low == doctest::Approx(0.2366).epsilon(2e-4));
  CHECK(wilson_interval(0.5, 10).high == doctest::Approx(0.7634).epsilon(2e-4));
  // At the ends: 1 / (1 + z^2 / n) and its complement.
  CHECK(wilson_interval(1.0, 100).low == doctest::Approx(100.0 / 103.841459).epsilon(1e-6));
  CHECK(wilson_interval(1.0, 100).high == 1.0);
  CHECK(wilson_interval(0.0, 4).low == 0.0);
  CHECK(wilson_interval(0.0, 4).high == doctest::Approx(3.841459 / 7.841459).epsilon(1e-6));
  CHECK(contains(error_text([] { return wilson_interval(0.5, 0).low; }), "expected one of 0 to 1, and one or more"));
  CHECK(contains(error_text([] { return wilson_interval(1.5, 2).low; }), "a share of 1.5 of 2 draws"));
}

TEST_CASE("a paired difference is the mean of the examples' differences, with that mean's error") {
  // Differences 1, 0, -1, 1, 1: mean 0.4; squares about it .36 .16 1.96 .36 .36 = 3.2; sqrt(3.2 / 4 / 5) = 0.4.
  const Values first{0, 1, 1, 0, 0}, second{1, 1, 0, 1, 1};
  const auto difference = paired_difference(first, second);
  CHECK(difference.n == 5);
  CHECK(difference.mean == doctest::Approx(0.4));
  CHECK(difference.standard_error == doctest::Approx(0.4));
  CHECK(differences_of(first, second) == Values{1, 0, -1, 1, 1});
  // The other way round, the same with the other sign.
  CHECK(paired_difference(second, first).mean == doctest::Approx(-0.4));
  CHECK(paired_difference(second, first).standard_error == doctest::Approx(0.4));
  // Equal answers differ by nothing, whatever they are.
  CHECK(paired_difference(first, first).standard_error == 0.0);
}

TEST_CASE("one pair has no error that could be told, and values without a partner are refused") {
  const Values one{1}, none, two{1, 0};
  CHECK(paired_difference(one, one).mean == 0.0);
  CHECK(std::isnan(paired_difference(one, one).standard_error));
  CHECK(contains(error_text([&] { return paired_difference(none, none).n; }), "no values to pair"));
  CHECK(contains(error_text([&] { return paired_difference(one, two).n; }), "1 values are paired with 2"));
}

TEST_CASE("the bootstrap interval of a mean is that of the normal distribution where there are many examples") {
  // 400 differences, half 1 and half 0: the mean 0.5 has the error sqrt(.25 / 400) = 0.025, so the interval is
  // 0.5 -+ 0.049. Of 10,000 resamples a percentile 2.5 has an error of 0.025 sqrt(.025 .975 / 10000) / phi(1.96) =
  // 0.0007, and the means are multiples of 1 / 400: 0.004 is room for both.
  Values task(400, 0.0);
  for (std::size_t i = 0; i < task.size(); i += 2) task[i] = 1.0;
  const std::vector<Values> tasks{task};
  const auto interval = bootstrap_interval(tasks);
  CHECK(std::abs(interval.low - 0.451) < 0.004);
  CHECK(std::abs(interval.high - 0.549) < 0.004);
  // Four such tasks: half as wide.
  const std::vector<Values> four(4, task);
  CHECK(std::abs(bootstrap_interval(four).low - 0.4755) < 0.003);
}

TEST_CASE("tasks count the same in the bootstrap, whatever their sizes, and draw from themselves alone") {
  // Constant tasks: every resample has the mean (1 + 0) / 2.
  const std::vector<Values> tasks{Values(3, 1.0), Values(100, 0.0)};
  CHECK(bootstrap_interval(tasks).low == 0.5);
  CHECK(bootstrap_interval(tasks).high == 0.5);
}

TEST_CASE("the bootstrap interval is the same whenever it is asked for, and another by another seed") {
  const std::vector<Values> tasks{{1, 0, -1, 0.5, 0.25, 1, 0.125}};
  const auto first = bootstrap_interval(tasks, 1, 100), again = bootstrap_interval(tasks, 1, 100);
  CHECK(first.low == again.low);
  CHECK(first.high == again.high);
  const auto other = bootstrap_interval(tasks, 2, 100);
  CHECK((other.low != first.low || other.high != first.high));
  CHECK(contains(error_text([&] { return bootstrap_interval(tasks, 0, 0).low; }), "0 resamples"));
  const std::vector<Values> empty{{}}, none;
  CHECK(contains(error_text([&] { return bootstrap_interval(empty).low; }), "nothing to draw from"));
  CHECK(contains(error_text([&] { return bootstrap_interval(none).low; }), "nothing to draw from"));
}
