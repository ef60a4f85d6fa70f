// The primitives of Llama other than attention.
#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "tests/core/ops/numbers.h"

namespace ops = csreft::ops;
using csreft::DType;
using csreft::Error;
using csreft::Tensor;
using csreft::test::distance;
using csreft::test::dot;
using csreft::test::indices;
using csreft::test::normal;
using csreft::test::numeric_gradient;

namespace {

// Central differences of sums of order 1 to 10 are exact to some 1e-9.
constexpr double gradient_tolerance = 1e-7;

// 1 / theta^(2 i / head_dim)
Tensor frequencies(std::int64_t head_dim, double theta) {
  Tensor f = Tensor::empty({head_dim / 2}, DType::f64);
  for (std::int64_t i = 0; i < head_dim / 2; ++i) {
    f.data<double>()[i] = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
  }
  return f;
}

}  // namespace

TEST_CASE("RMSNorm scales rows to mean square one, times the weight") {
  constexpr double eps = 1e-5;
  for (const std::int64_t n : {0, 1, 50}) {
    const Tensor x = normal({n, 576}, 1), w = normal({576}, 2);
    Tensor expected = x.clone();
    for (std::int64_t i = 0; i < n; ++i) {
      double* row = expected.data<double>() + i * 576;
      double square = 0;
      for (int j = 0; j < 576; ++j) square += row[j] * row[j];
      for (int j = 0; j < 576; ++j) row[j] *= w.data<double>()[j] / std::sqrt(square / 576 + eps);
    }
    CHECK(distance(ops::rms_norm(x, w, eps).y, expected) < 1e-13);
    // Elements up to 20, a few roundings.
    CHECK(distance(ops::rms_norm(x.to(DType::f32), w.to(DType::f32), eps).y, expected) < 1e-5);
  }
}

TEST_CASE("the gradients of RMSNorm agree with differences") {
  const Tensor x = normal({70, 6}, 1), w = normal({6}, 2), dy = normal({70, 6}, 3);
  const auto loss = [&] { return dot(dy, ops::rms_norm(x, w, 1e-3).y); };
  const Tensor rstd = ops::rms_norm(x, w, 1e-3).rstd;
  CHECK(distance(ops::rms_norm_backward(dy, x, w, rstd), numeric_gradient(x, loss)) < gradient_tolerance);
  CHECK(distance(ops::rms_norm_backward_weight(dy, x, rstd), numeric_gradient(w, loss)) < gradient_tolerance);
}

TEST_CASE("RMSNorm of a sum, and its gradient with what passes beside the norm") {
  const Tensor a = normal({70, 33}, 1), b = normal({70, 33}, 2), w = normal({33}, 3), dy = normal({70, 33}, 4);
  const Tensor sum = ops::add(a, b), residual = normal({70, 33}, 5);
  const auto expected = ops::rms_norm(sum, w, 1e-5);
  const auto norm = ops::add_rms_norm(a, b, w, 1e-5);
  CHECK(distance(norm.sum, sum) == 0);
  CHECK(distance(norm.y, expected.y) < 1e-14);
  CHECK(distance(norm.rstd, expected.rstd) < 1e-14);
  const auto narrow = ops::add_rms_norm(a.to(DType::f32), b.to(DType::f32), w.to(DType::f32), 1e-5);
  CHECK(distance(narrow.y, expected.y) < 1e-5);  // elements up to 20, a few roundings
  CHECK(distance(ops::rms_norm_backward(dy, sum, w, norm.rstd, residual),
                 ops::add(residual, ops::rms_norm_backward(dy, sum, w, norm.rstd))) < 1e-14);
  CHECK(ops::add_rms_norm(Tensor::zeros({0, 3}), Tensor::zeros({0, 3}), Tensor::zeros({3}), 1e-5).y.rows() == 0);
  CHECK_THROWS_AS(ops::add_rms_norm(a, b.slice(0, 3), w, 1e-5), Error);
  CHECK_THROWS_AS(ops::add_rms_norm(a, b, b, 1e-5), Error);
  CHECK_THROWS_AS(ops::rms_norm_backward(dy, sum, w, norm.rstd, w), Error);
}

TEST_CASE("RoPE turns component i with component i + head_dim / 2, precisely also far out") {
  constexpr std::int64_t head_dim = 16, heads = 3;
  const Tensor f = frequencies(head_dim, 10000), positions = indices({0, 1, 17, 4095, 131071, 3});
  const Tensor x = normal({6, heads * head_dim}, 1);
  Tensor expected = x.clone();
  for (std::int64_t i = 0; i < 6; ++i) {
    for (std::int64_t head = 0; head < heads; ++head) {
      for (std::int64_t j = 0; j < head_dim / 2; ++j) {
        double* a = expected.data<double>() + (i * heads + head) * head_dim + j;
        double* b = a + head_dim / 2;
        const double angle = positions.data<std::int32_t>()[i] * f.data<double>()[j], p = *a, q = *b;
        *a = p * std::cos(angle) - q * std::sin(angle);
        *b = q * std::cos(angle) + p * std::sin(angle);
      }
    }
  }
  // In f64 the reduced angle carries the rounding of an angle of 131,071: 1.5e-11.
  CHECK(distance(ops::rope(x, positions, f), expected) < 1e-10);
  CHECK(distance(ops::rope(x.to(DType::f32), positions, f), expected) < 2e-6);
  CHECK(distance(ops::rope(ops::rope(x, positions, f), positions, f, true), x) < 1e-13);
  CHECK(ops::rope(Tensor::zeros({0, 16}), indices({}), f).rows() == 0);
}

TEST_CASE("cross-entropy over a large vocabulary, with scores that would overflow") {
  for (const std::int64_t vocabulary : {1, 5, 1025, 49152}) {
    for (const double size : {1.0, 1e4}) {
      const Tensor logits = ops::scale(normal({3, vocabulary}, 1), size);
      const auto last = static_cast<std::int32_t>(vocabulary - 1);
      const Tensor targets = indices({0, last, last / 2});
      Tensor loss = Tensor::empty({3}, DType::f64), gradient = logits.clone();
      for (std::int64_t i = 0; i < 3; ++i) {
        double* row = gradient.data<double>() + i * vocabulary;
        const double max = *std::max_element(row, row + vocabulary);
        double total = 0;
        for (std::int64_t j = 0; j < vocabulary; ++j) total += std::exp(row[j] - max);
        const auto target = targets.data<std::int32_t>()[i];
        loss.data<double>()[i] = max + std::log(total) - row[target];
        for (std::int64_t j = 0; j < vocabulary; ++j) row[j] = std::exp(row[j] - max) / total - (j == target ? 1 : 0);
      }
      // Losses of order `size`, relative rounding; in f32 the input is rounded too. Probabilities: absolute.
      CHECK(distance(ops::cross_entropy(logits, targets), loss) < 1e-13 * (10 + size));
      const Tensor narrow = logits.to(DType::f32);
      CHECK(distance(ops::cross_entropy(narrow, targets), loss) < 1e-6 * (1 + size));
      CHECK(distance(ops::cross_entropy_with_gradient_(narrow, targets), loss) < 1e-6 * (1 + size));
      CHECK(distance(narrow, gradient) < 1e-6 * size);
      const Tensor wide = logits.clone();
      CHECK(distance(ops::cross_entropy_with_gradient_(wide, targets), loss) < 1e-13 * (10 + size));
      CHECK(distance(wide, gradient) < 1e-12);
    }
  }
}

TEST_CASE("a score that is not a number makes the loss not a number") {
  Tensor logits = Tensor::zeros({2, 100});
  logits.data<float>()[50] = std::numeric_limits<float>::quiet_NaN();
  const Tensor loss = ops::cross_entropy(logits, indices({3, 3}));
  CHECK(std::isnan(loss.data<float>()[0]));
  CHECK(loss.data<float>()[1] == doctest::Approx(std::log(100.0)));
  CHECK(std::isnan(ops::cross_entropy_with_gradient_(logits, indices({3, 3})).data<float>()[0]));
}

TEST_CASE("arguments of Llama's primitives that do not fit are errors") {
  const Tensor x = Tensor::zeros({2, 8}), w = Tensor::zeros({8}), f = frequencies(4, 10000);
  CHECK_THROWS_AS(ops::rms_norm(x, Tensor::zeros({7}), 1e-5), Error);
  CHECK_THROWS_AS(ops::rms_norm(Tensor::zeros({2, 0}), Tensor::zeros({0}), 1e-5), Error);
  CHECK_THROWS_AS(ops::rms_norm_backward(x, x, w, Tensor::zeros({3})), Error);
  CHECK_THROWS_AS(ops::rms_norm_backward_weight(x, x, Tensor()), Error);
  CHECK_THROWS_AS(ops::rope(x, indices({0}), f), Error);
  CHECK_THROWS_AS(ops::rope(x, indices({0, 1}), frequencies(6, 10000)), Error);
  CHECK_THROWS_AS(ops::rope(x, indices({0, 1}), f.to(DType::f32)), Error);
  CHECK_THROWS_AS(ops::cross_entropy(x, indices({0, 8})), Error);
  CHECK_THROWS_AS(ops::cross_entropy(x, indices({0, -1})), Error);
  CHECK_THROWS_AS(ops::cross_entropy_with_gradient_(x, indices({0})), Error);
}
