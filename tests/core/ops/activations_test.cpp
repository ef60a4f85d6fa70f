// Activations of an edit's source, and marks of what is large.
#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "tests/core/ops/numbers.h"

namespace ops = csreft::ops;
using csreft::Tensor;
using csreft::test::all_finite;
using csreft::test::distance;
using csreft::test::dot;
using csreft::test::map;
using csreft::test::normal;
using csreft::test::numeric_gradient;
using csreft::test::values;

namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Central differences of sums of order 1 to 10 are exact to some 1e-9.
constexpr double gradient_tolerance = 1e-7;

}  // namespace

TEST_CASE("threshold marks what is above it, sign tells the sides of 0, abs_sum adds magnitudes") {
  const Tensor x = values({-2, -0.5, 0, 0.5, 2}, {5});
  CHECK(distance(ops::threshold(x, 0.5), values({0, 0, 0, 0, 1}, {5})) == 0);
  CHECK(distance(ops::threshold(x, -0.5), values({0, 0, 1, 1, 1}, {5})) == 0);
  CHECK(distance(ops::sign(x), values({-1, -1, 0, 1, 1}, {5})) == 0);
  CHECK(ops::abs_sum(x).item() == 5);
  CHECK(ops::abs_sum(Tensor::zeros({0})).item() == 0);
  CHECK(ops::abs_sum(Tensor::full({40001}, -0.5)).item() == 20000.5);
}

TEST_CASE("silu, tanh and gelu agree with their formulas, and their gradients with differences") {
  const Tensor x = ops::scale(normal({5, 7}, 1), 3), dy = normal({5, 7}, 3);
  const auto gelu = [](double v) { return v * 0.5 * std::erfc(-v / std::sqrt(2.0)); };
  CHECK(distance(ops::silu(x), map(x, [](double v) { return v * sigmoid(v); })) < 1e-14);
  CHECK(distance(ops::tanh(x), map(x, [](double v) { return std::tanh(v); })) < 1e-15);
  CHECK(distance(ops::gelu(x), map(x, gelu)) < 1e-14);
  CHECK(distance(ops::silu_backward(dy, x), numeric_gradient(x, [&] { return dot(dy, ops::silu(x)); })) <
        gradient_tolerance);
  CHECK(distance(ops::tanh_backward(dy, ops::tanh(x)), numeric_gradient(x, [&] { return dot(dy, ops::tanh(x)); })) <
        gradient_tolerance);
  CHECK(distance(ops::gelu_backward(dy, x), numeric_gradient(x, [&] { return dot(dy, ops::gelu(x)); })) <
        gradient_tolerance);
  // torch.nn.functional.gelu(torch.tensor([-1., 0., 1.])) = [-0.1587, 0, 0.8413].
  CHECK(distance(ops::gelu(values({-1, 0, 1}, {3})), values({-0.15865525393145707, 0, 0.8413447460685429}, {3})) <
        1e-15);
  for (const double large : {-1e4, 1e4}) {
    const Tensor far = Tensor::full({1}, large), one = Tensor::full({1}, 1);
    CHECK(ops::silu(far).item() == std::max(large, 0.0));
    CHECK(ops::gelu(far).item() == std::max(large, 0.0));
    CHECK(ops::tanh(far).item() == std::copysign(1.0, large));
    CHECK(all_finite(ops::silu_backward(one, far)));
    CHECK(all_finite(ops::gelu_backward(one, far)));
  }
}
