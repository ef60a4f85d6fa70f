#include "reft/router/discriminant.h"

#include <cmath>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "core/tensor/random.h"
#include "tests/compare.h"
#include "tests/error_text.h"

using csreft::Discriminant;
using csreft::DType;
using csreft::Tensor;

namespace {

Tensor values(const std::vector<double>& numbers, std::int64_t columns) {
  const auto rows = static_cast<std::int64_t>(numbers.size()) / columns;
  return Tensor::from(std::span<const double>(numbers), {rows, columns});
}

double score(const Tensor& scores, std::int64_t row, std::int64_t c) {
  return scores.data<double>()[row * scores.cols() + c];
}

// Sums in another order, and an inverse, of numbers of order 1 to 10.
constexpr double rounding = 1e-10;

// n examples [n, 4] around (centre, -centre, 0, 1), whose components go together.
Tensor examples_of(double centre, std::int64_t n, std::uint64_t stream) {
  const Tensor x = csreft::random_normal({n, 4}, 0.0, 1.0, 3, stream, DType::f64);
  for (std::int64_t i = 0; i < n; ++i) {
    double* row = x.data<double>() + i * 4;
    row[1] += 0.8 * row[0] - centre;
    row[0] += centre;
    row[3] += 1.0;
  }
  return x;
}

}  // namespace

TEST_CASE("two classes of one component: the rule worked out by hand") {
  Discriminant rule(2, 1, DType::f64);
  rule.learn(0, values({0.0, 2.0}, 1), /*shrinkage=*/0.5);
  rule.learn(1, values({5.0, 7.0}, 1), /*shrinkage=*/0.5);
  // Means 1 and 6; scatter 2 + 2 of 4 examples less 2 classes: variance 2, shrunk by half of itself: 3. The scores
  // differ by (6 - 1) x / 3 - (36 - 1) / 6.
  const Tensor scores = rule.scores(values({3.5, 10.0}, 1));
  CHECK(score(scores, 0, 1) - score(scores, 0, 0) == doctest::Approx(0.0).epsilon(rounding));
  CHECK(score(scores, 1, 1) - score(scores, 1, 0) == doctest::Approx(50.0 / 3.0 - 35.0 / 6.0));
}

TEST_CASE("components that go together: scores differ as mu^T L x - mu^T L mu / 2 do") {
  Discriminant rule(2, 2, DType::f64);
  const double shrinkage = 0.1;
  rule.learn(0, values({0.0, 0.0, 2.0, 2.0}, 2), shrinkage);
  rule.learn(1, values({4.0, 1.0, 6.0, 5.0}, 2), shrinkage);
  // Means (1, 1) and (5, 3). Scatter: 2 (1, 1)(1, 1)^T + 2 (1, 2)(1, 2)^T = (4, 6; 6, 10), over 4 - 2 examples.
  const double xx = 2.0 * (1 + shrinkage), xy = 3.0, yy = 5.0 * (1 + shrinkage), determinant = xx * yy - xy * xy;
  const auto L = [&](std::pair<double, double> a, std::pair<double, double> b) {
    return (yy * a.first * b.first - xy * (a.first * b.second + a.second * b.first) + xx * a.second * b.second) /
           determinant;
  };
  const std::pair first{1.0, 1.0}, second{5.0, 3.0};
  for (const auto& x : {std::pair{0.0, 0.0}, {3.0, 2.0}, {-1.0, 7.0}}) {
    const Tensor scores = rule.scores(values({x.first, x.second}, 2));
    CHECK(score(scores, 0, 1) - score(scores, 0, 0) ==
          doctest::Approx(L(second, x) - L(second, second) / 2 - L(first, x) + L(first, first) / 2).epsilon(rounding));
  }
}

TEST_CASE("classes that are not learnt never win, and one alone wins always") {
  for (const DType type : {DType::f64, DType::f32}) {
    Discriminant rule(3, 4, type);
    const Tensor far = csreft::random_normal({20, 4}, 0.0, 1e4, 5, 0, DType::f64).to(type);
    rule.learn(1, examples_of(0.0, 30, 0), 0.1);
    const auto chosen = [&](const Tensor& x) {
      const Tensor best = csreft::ops::top_k_rows(rule.scores(x), 1).to(DType::f64);
      return csreft::ops::sum_rows(best);
    };
    CHECK(chosen(far).data<double>()[1] == 20.0);
    rule.learn(2, examples_of(3.0, 30, 1), 0.1);
    CHECK(chosen(far).data<double>()[0] == 0.0);
    CHECK(chosen(examples_of(0.0, 50, 2).to(type)).data<double>()[1] >= 48.0);
    CHECK(chosen(examples_of(3.0, 50, 3).to(type)).data<double>()[2] >= 48.0);
  }
}

TEST_CASE("the rule is the same in whatever order classes come, and whatever the units of components are") {
  const Tensor a = examples_of(0.0, 40, 0), b = examples_of(1.0, 25, 1), c = examples_of(2.0, 60, 2);
  const Tensor x = examples_of(1.5, 10, 3);
  Discriminant forwards(3, 4, DType::f64), backwards(3, 4, DType::f64), in_units(3, 4, DType::f64);
  forwards.learn(0, a, 0.1);
  forwards.learn(1, b, 0.1);
  forwards.learn(2, c, 0.1);
  backwards.learn(2, c, 0.1);
  backwards.learn(1, b, 0.1);
  backwards.learn(0, a, 0.1);
  CHECK(largest_difference(forwards.scores(x), backwards.scores(x)) < rounding);
  const std::vector<double> factors{1e3, 1.0, 1e-3, 50.0};
  const Tensor units = Tensor::from(std::span<const double>(factors), {4});
  in_units.learn(0, csreft::ops::mul_row(a, units), 0.1);
  in_units.learn(1, csreft::ops::mul_row(b, units), 0.1);
  in_units.learn(2, csreft::ops::mul_row(c, units), 0.1);
  CHECK(largest_difference(forwards.scores(x), in_units.scores(csreft::ops::mul_row(x, units))) < rounding);
}

TEST_CASE("what is kept does not grow with the examples, and fewer examples than components are enough") {
  Discriminant rule(2, 4, DType::f64);
  rule.learn(0, examples_of(0.0, 1000, 0), 0.1);
  CHECK(rule.buffers()[3].second.shape() == csreft::Shape{4, 4});
  Discriminant few(2, 4, DType::f64);
  few.learn(0, examples_of(0.0, 1, 1), 0.1);
  few.learn(1, examples_of(9.0, 2, 2), 0.1);
  const Tensor scores = few.scores(examples_of(9.0, 1, 3));
  CHECK(std::isfinite(score(scores, 0, 0)));
  CHECK(score(scores, 0, 1) > score(scores, 0, 0));
}

TEST_CASE("a component that never varies within a class, as one that all prompts share, does no harm") {
  const auto with_constant = [](const Tensor& x) {
    const Tensor out = x.clone();
    for (std::int64_t i = 0; i < out.rows(); ++i) out.data<double>()[i * 4 + 2] = 7.0;
    return out;
  };
  Discriminant rule(2, 4, DType::f64);
  rule.learn(0, with_constant(examples_of(0.0, 40, 0)), 0.1);
  rule.learn(1, with_constant(examples_of(4.0, 40, 1)), 0.1);
  const Tensor scores = rule.scores(with_constant(examples_of(4.0, 1, 3)));
  CHECK(std::isfinite(score(scores, 0, 0)));
  CHECK(score(scores, 0, 1) > score(scores, 0, 0));
}

TEST_CASE("a class is learnt once, from an example at least") {
  Discriminant rule(2, 4, DType::f64);
  rule.learn(0, examples_of(0.0, 5, 0), 0.1);
  CHECK(contains(error_text([&] { rule.learn(0, examples_of(0.0, 5, 1), 0.1); }), "class 0 is learnt already"));
  CHECK(contains(error_text([&] {
                   rule.learn(1, Tensor::zeros({0, 4}, DType::f64), 0.1);
                 }),
                 "class 1 has no examples"));
}
