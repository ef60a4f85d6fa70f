#include "autograd/optimizers.h"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "autograd/functions/functions.h"
#include "tests/autograd/adamw_step.h"

using namespace csreft;
using test::adamw_step;

namespace {

Tensor vector_of(std::initializer_list<double> values) {
  return Tensor::from<double>(std::span(values.begin(), values.size()), {static_cast<std::int64_t>(values.size())});
}

}  // namespace

TEST_CASE("AdamW follows its formula, written out for one element") {
  const AdamWOptions options{.beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1};
  const double lr = 0.05;
  const std::array<double, 4> gradients{0.7, -2.0, 0.0, 1e-4};
  Tensor w = vector_of({1.5});
  auto state = adamw_state(w);
  double x = 1.5;
  double m = 0;
  double v = 0;
  for (int t = 1; t <= 4; ++t) {
    const double g = gradients[static_cast<std::size_t>(t - 1)];
    m = 0.8 * m + 0.2 * g;
    v = 0.95 * v + 0.05 * g * g;
    const double m_hat = m / (1 - std::pow(0.8, t));
    const double v_hat = v / (1 - std::pow(0.95, t));
    x = x - lr * 0.1 * x - lr * m_hat / (std::sqrt(v_hat) + 1e-3);
    adamw_step(w, vector_of({g}), state, lr, options);
    CHECK(w.item() == doctest::Approx(x).epsilon(1e-14));  // rounding of a handful of f64 operations
  }
  CHECK(state.step == 4);
}

TEST_CASE("The first step of AdamW without decay has length lr in every element") {
  Tensor w = Tensor::zeros({3}, DType::f32);
  const std::array<float, 3> g{1e-3F, -5.0F, 1e6F};
  auto state = adamw_state(w);
  adamw_step(w, Tensor::from<float>(g, {3}), state, 0.1, {.weight_decay = 0});
  for (const float x : w.span<float>()) CHECK(std::abs(x) == doctest::Approx(0.1).epsilon(1e-4));  // eps / |g| = 1e-5
}

TEST_CASE("A zero gradient only decays the weights, and a fresh AdamW divides by nothing") {
  Tensor w = vector_of({2.0, -4.0});
  auto state = adamw_state(w);
  adamw_step(w, vector_of({0.0, 0.0}), state, 0.1, {.weight_decay = 0.5});
  CHECK(w.span<double>()[0] == doctest::Approx(1.9).epsilon(1e-15));
  CHECK(w.span<double>()[1] == doctest::Approx(-3.8).epsilon(1e-15));
}

TEST_CASE("A gradient or a state of another shape or type is refused and nothing changes") {
  Tensor w = vector_of({1.0, 2.0});
  auto state = adamw_state(w);
  CHECK_THROWS_AS(adamw_step(w, vector_of({1.0}), state, 0.1), Error);
  CHECK_THROWS_AS(adamw_step(w, vector_of({1.0, 1.0}).to(DType::f32), state, 0.1), Error);
  CHECK_THROWS_AS(adamw_step(w, {}, state, 0.1), Error);
  auto sgd = sgd_state(w);
  CHECK_THROWS_AS(adamw_step(w, vector_of({1.0, 1.0}), sgd, 0.1), Error);
  Tensor half = w.to(DType::bf16);
  auto half_state = adamw_state(half);
  CHECK_THROWS_AS(adamw_step(half, half.clone(), half_state, 0.1), Error);
  CHECK(w.span<double>()[0] == 1.0);
  CHECK(state.step == 0);
}

TEST_CASE("Gradient descent with momentum follows its formula") {
  Tensor w = vector_of({1.0});
  auto state = sgd_state(w);
  const SgdOptions options{.momentum = 0.5, .weight_decay = 0.1};
  sgd_step(w, vector_of({2.0}), state, 0.1, options);  // m = 2.1, w = 0.79
  CHECK(w.item() == doctest::Approx(0.79).epsilon(1e-14));
  sgd_step(w, vector_of({-1.0}), state, 0.1, options);  // m = 1.05 - 1 + 0.079 = 0.129
  CHECK(w.item() == doctest::Approx(0.7771).epsilon(1e-14));
}

TEST_CASE("Clipping scales all gradients by one factor, and only if their common norm is too large") {
  std::vector<Tensor> gradients{vector_of({3.0, 0.0}), {}, vector_of({4.0})};
  CHECK(clip_by_global_norm(gradients, 5.0) == doctest::Approx(5.0).epsilon(1e-15));
  CHECK(gradients[0].span<double>()[0] == 3.0);
  CHECK(clip_by_global_norm(gradients, 1.0) == doctest::Approx(5.0).epsilon(1e-15));
  CHECK(gradients[0].span<double>()[0] == doctest::Approx(0.6).epsilon(1e-15));
  CHECK(gradients[2].item() == doctest::Approx(0.8).epsilon(1e-15));
  CHECK(global_norm(gradients) == doctest::Approx(1.0).epsilon(1e-15));
  CHECK_THROWS_AS(clip_by_global_norm(gradients, 0.0), Error);
}

TEST_CASE("Gradients that share a tensor are clipped once each, and the shared tensor stays as it is") {
  const Tensor seed = vector_of({3.0, 4.0});
  const Variable a = Variable::parameter(vector_of({0.0, 0.0})), b = Variable::parameter(vector_of({0.0, 0.0}));
  backward(add(a, b), seed);  // both gradients are the seed itself
  std::vector<Tensor> gradients{a.grad(), b.grad()};
  REQUIRE(gradients[0].shares_storage_with(gradients[1]));
  CHECK(clip_by_global_norm(gradients, 1.0) == doctest::Approx(std::sqrt(50.0)).epsilon(1e-15));
  for (const Tensor& g : gradients) {
    CHECK(g.span<double>()[0] == doctest::Approx(3.0 / std::sqrt(50.0)).epsilon(1e-15));
    CHECK(g.span<double>()[1] == doctest::Approx(4.0 / std::sqrt(50.0)).epsilon(1e-15));
  }
  CHECK(seed.span<double>()[0] == 3.0);
  CHECK(a.grad().span<double>()[1] == 4.0);
}

TEST_CASE("A norm that is not finite is returned and the gradients are left alone") {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    std::vector<Tensor> gradients{vector_of({bad}), vector_of({4.0})};
    CHECK_FALSE(std::isfinite(clip_by_global_norm(gradients, 1.0)));
    CHECK(gradients[1].item() == 4.0);
  }
}

TEST_CASE("Large f32 gradients have a finite norm and can be clipped") {
  std::vector<Tensor> gradients{Tensor::full({4}, 1e30, DType::f32)};
  CHECK(clip_by_global_norm(gradients, 2.0) == doctest::Approx(2e30).epsilon(1e-6));  // 1e30 rounded to f32
  CHECK(gradients[0].span<float>()[3] == doctest::Approx(1.0).epsilon(1e-6));
}

TEST_CASE("The learning rate rises linearly, then falls linearly to zero") {
  CHECK(learning_rate_factor(0, 100, 0.1) == 0.0);
  CHECK(learning_rate_factor(5, 100, 0.1) == 0.5);
  CHECK(learning_rate_factor(10, 100, 0.1) == 1.0);
  CHECK(learning_rate_factor(55, 100, 0.1) == 0.5);
  CHECK(learning_rate_factor(100, 100, 0.1) == 0.0);
  CHECK(learning_rate_factor(120, 100, 0.1) == 0.0);
  CHECK(learning_rate_factor(0, 100, 0.0) == 1.0);
  CHECK(learning_rate_factor(1, 3, 0.5) == 0.5);  // ceil(1.5) = 2 steps of warm-up
  CHECK(learning_rate_factor(99, 100, 1.0) == 0.99);
  CHECK(learning_rate_factor(0, 1, 0.0) == 1.0);
  CHECK_THROWS_AS(learning_rate_factor(-1, 100, 0.1), Error);
  CHECK_THROWS_AS(learning_rate_factor(0, 0, 0.1), Error);
  CHECK_THROWS_AS(learning_rate_factor(0, 100, 1.1), Error);
}
