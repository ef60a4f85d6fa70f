#include "reft/transfer.h"

#include <doctest/doctest.h>

#include "tests/error_text.h"

using Matrix = std::vector<std::vector<double>>;

TEST_CASE("the measures of a sequence are those of numbers worked out by hand") {
  const Matrix a{{0.9, 0.2, 0.1},   // after the first of three tasks
                 {0.95, 0.8, 0.3},  // the first has gained by the second
                 {0.5, 0.6, 0.7}};
  const std::vector<double> b{0.1, 0.1, 0.2};
  const auto measures = csreft::transfer(a, b);
  CHECK(measures.average == doctest::Approx(0.6));                                // (.5 + .6 + .7) / 3
  CHECK(*measures.backward == doctest::Approx(((0.5 - 0.9) + (0.6 - 0.8)) / 2));  // -.3
  CHECK(*measures.forward == doctest::Approx(((0.2 - 0.1) + (0.3 - 0.2)) / 2));   // .1
  // From the best that each has been, which for the first was after the second: ((.95 - .5) + (.8 - .6)) / 2.
  CHECK(*measures.forgetting == doctest::Approx(0.325));
}

TEST_CASE("without the untrained model there is no forward transfer, and of one task only the average") {
  const auto two = csreft::transfer(Matrix{{0.9, 0.2}, {0.7, 0.8}}, {});
  CHECK(two.average == doctest::Approx(0.75));
  CHECK(*two.backward == doctest::Approx(-0.2));
  CHECK(*two.forgetting == doctest::Approx(0.2));
  CHECK_FALSE(two.forward.has_value());
  const auto one = csreft::transfer(Matrix{{0.4}}, std::vector<double>{0.1});
  CHECK(one.average == 0.4);
  CHECK_FALSE(one.backward.has_value());
  CHECK_FALSE(one.forward.has_value());
  CHECK_FALSE(one.forgetting.has_value());
}

TEST_CASE("scores that are not of each task after each are refused") {
  const auto refusal = [](const Matrix& a, const std::vector<double>& b) {
    return error_text([&] { static_cast<void>(csreft::transfer(a, b)); });
  };
  CHECK(contains(refusal({}, {}), "no task was learnt"));
  CHECK(contains(refusal({{0.1, 0.2}}, {}), "2 scores after one of 1 tasks"));
  CHECK(contains(refusal({{0.1}}, {0.1, 0.2}), "2 scores of the untrained model for 1 tasks"));
}
