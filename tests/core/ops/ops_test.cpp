#include "core/ops/ops.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/threads.h"
#include "tests/core/ops/numbers.h"

namespace ops = csreft::ops;
using csreft::DType;
using csreft::Error;
using csreft::Shape;
using csreft::Tensor;
using csreft::test::all_finite;
using csreft::test::distance;
using csreft::test::dot;
using csreft::test::indices;
using csreft::test::map;
using csreft::test::normal;
using csreft::test::numeric_gradient;
using csreft::test::same_bits;
using csreft::test::values;

namespace {

constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Central differences of sums of order 1 to 10 are exact to some 1e-9.
constexpr double gradient_tolerance = 1e-7;

}  // namespace

TEST_CASE("elementwise arithmetic, small and large enough for several threads") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const Shape& shape : {Shape{0}, Shape{1}, Shape{3, 5}, Shape{40001}}) {
      const Tensor a = normal(shape, 1, dtype), b = normal(shape, 2, dtype);
      const Tensor wide_a = a.to(DType::f64), wide_b = b.to(DType::f64);
      const Tensor sum = wide_a.clone(), difference = wide_a.clone(), product = wide_a.clone(), y = wide_a.clone();
      for (std::int64_t i = 0; i < a.numel(); ++i) {
        const double p = wide_a.data<double>()[i], q = wide_b.data<double>()[i];
        sum.data<double>()[i] = p + q;
        difference.data<double>()[i] = p - q;
        product.data<double>()[i] = p * q;
        y.data<double>()[i] = p + 0.5 * q;
      }
      // One rounding of numbers below 16.
      const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-15;
      CHECK(distance(ops::add(a, b), sum) <= tolerance);
      CHECK(distance(ops::sub(a, b), difference) <= tolerance);
      CHECK(distance(ops::mul(a, b), product) <= tolerance);
      CHECK(distance(ops::scale(a, -3), map(a, [](double v) { return -3 * v; })) <= tolerance);
      const Tensor accumulated = a.clone();
      ops::axpy_(accumulated, 0.5, b);
      CHECK(distance(accumulated, y) <= tolerance);
      ops::add_(accumulated, a);
      CHECK(distance(accumulated, ops::add(y, wide_a)) <= tolerance);
    }
  }
}

TEST_CASE("activations agree with their formulas, and their gradients with differences") {
  const Tensor x = normal({5, 7}, 1), up = normal({5, 7}, 2), dy = normal({5, 7}, 3);
  CHECK(distance(ops::relu(x), map(x, [](double v) { return v > 0 ? v : 0; })) == 0);
  CHECK(distance(ops::sigmoid(x), map(x, sigmoid)) < 1e-15);
  CHECK(distance(ops::silu_mul(x, up), ops::mul(map(x, [](double v) { return v * sigmoid(v); }), up)) < 1e-14);

  CHECK(distance(ops::relu_backward(dy, ops::relu(x)), numeric_gradient(x, [&] { return dot(dy, ops::relu(x)); })) <
        gradient_tolerance);
  CHECK(distance(ops::sigmoid_backward(dy, ops::sigmoid(x)),
                 numeric_gradient(x, [&] { return dot(dy, ops::sigmoid(x)); })) < gradient_tolerance);
  const auto loss = [&] { return dot(dy, ops::silu_mul(x, up)); };
  const auto d = ops::silu_mul_backward(dy, x, up);
  CHECK(distance(d.dgate, numeric_gradient(x, loss)) < gradient_tolerance);
  CHECK(distance(d.dup, numeric_gradient(up, loss)) < gradient_tolerance);
}

TEST_CASE("activations in f32 survive large arguments, and pass NaN on") {
  const std::vector<float> list{-1e4F, -100, -1, 0, 1, 100, 1e4F, nan_value};
  const Tensor x = Tensor::from(std::span<const float>(list), {8}), one = Tensor::full({8}, 1);
  // A few roundings, relative to values of at most 1, 1e4 and 1e4.
  CHECK(distance(ops::sigmoid(x), map(x, sigmoid)) < 1e-6);
  CHECK(distance(ops::silu_mul(x, one), map(x, [](double v) { return v * sigmoid(v); })) < 1e-3);
  CHECK(std::isnan(ops::relu(x).data<float>()[7]));
  const auto d = ops::silu_mul_backward(one, x, one);
  CHECK(distance(d.dgate, map(x, [](double v) { return sigmoid(v) * (1 + v * (1 - sigmoid(v))); })) < 1e-5);
}

TEST_CASE("the entropy of a gate is 0 at its ends, and its gradient is finite there") {
  const Tensor p = values({0, 1, 0.5, 0.1}, {4}), dy = Tensor::full({4}, 1, DType::f64);
  const Tensor h = ops::binary_entropy(p);
  CHECK(h.data<double>()[0] == 0);
  CHECK(h.data<double>()[1] == 0);
  CHECK(h.data<double>()[2] == doctest::Approx(std::log(2.0)));
  CHECK(h.data<double>()[3] == doctest::Approx(-0.1 * std::log(0.1) - 0.9 * std::log(0.9)));
  const Tensor dp = ops::binary_entropy_backward(dy, p);
  CHECK(dp.data<double>()[0] == doctest::Approx(std::log((1 - 1e-7) / 1e-7)));
  CHECK(dp.data<double>()[1] == doctest::Approx(-dp.data<double>()[0]));
  CHECK(dp.data<double>()[3] == doctest::Approx(std::log(9.0)));
  CHECK(all_finite(ops::binary_entropy_backward(dy.to(DType::f32), p.to(DType::f32))));
}

TEST_CASE("x log x is 0 at 0, and its gradient is finite there") {
  const Tensor x = values({0, 1, 0.5, 2}, {4}), dy = Tensor::full({4}, 1, DType::f64);
  CHECK(distance(ops::xlogx(x), values({0, 0, 0.5 * std::log(0.5), 2 * std::log(2.0)}, {4})) < 1e-15);
  CHECK(distance(ops::xlogx_backward(dy, x),
                 values({std::log(1e-7) + 1, 1, std::log(0.5) + 1, std::log(2.0) + 1}, {4})) < 1e-12);
  CHECK(all_finite(ops::xlogx_backward(dy.to(DType::f32), x.to(DType::f32))));
}

TEST_CASE("top_k_rows marks the largest of each row, of equals the first") {
  const Tensor x = values({1, 3, 2, 5, 5, 5, -2, -1, -1}, {3, 3});
  CHECK(distance(ops::top_k_rows(x, 1), values({0, 1, 0, 1, 0, 0, 0, 1, 0}, {3, 3})) == 0);
  CHECK(distance(ops::top_k_rows(x, 2), values({0, 1, 1, 1, 1, 0, 0, 1, 1}, {3, 3})) == 0);
  CHECK(distance(ops::top_k_rows(x, 3), Tensor::full({3, 3}, 1, DType::f64)) == 0);
  CHECK(ops::top_k_rows(x.to(DType::f32), 1).dtype() == DType::f32);
  CHECK(ops::top_k_rows(Tensor::zeros({0, 4}), 1).rows() == 0);
  CHECK_THROWS_AS(ops::top_k_rows(Tensor::zeros({4}), 1), Error);
  CHECK_THROWS_WITH_AS(ops::top_k_rows(x, 0), doctest::Contains("k is 0, expected 1 to 3"), Error);
  CHECK_THROWS_WITH_AS(ops::top_k_rows(x, 4), doctest::Contains("k is 4, expected 1 to 3"), Error);
}

TEST_CASE("softmax rows sum to one, whatever their size") {
  const Tensor x = values({1, 2, 3, 1e4, 1e4, -1e4}, {2, 3});
  const Tensor y = ops::softmax(x.to(DType::f32));
  const double z = std::exp(-2.0) + std::exp(-1.0) + 1;
  CHECK(distance(y, values({std::exp(-2.0) / z, std::exp(-1.0) / z, 1 / z, 0.5, 0.5, 0}, {2, 3})) < 1e-6);
  CHECK(ops::softmax(Tensor::zeros({0, 4})).rows() == 0);
  const Tensor s = normal({4, 6}, 1), dy = normal({4, 6}, 2);
  CHECK(distance(ops::softmax_backward(dy, ops::softmax(s)),
                 numeric_gradient(s, [&] { return dot(dy, ops::softmax(s)); })) < gradient_tolerance);
}

TEST_CASE("rows are broadcast and summed") {
  const Tensor x = values({1, 5, 5, -2, -1, -7}, {2, 3}), row = values({10, 20, 30}, {3});
  CHECK(distance(ops::add_row(x, row), values({11, 25, 35, 8, 19, 23}, {2, 3})) == 0);
  CHECK(distance(ops::mul_row(x, row), values({10, 100, 150, -20, -20, -210}, {2, 3})) == 0);
  CHECK(distance(ops::sum_rows(x), values({-1, 4, -2}, {3})) == 0);
  CHECK(distance(ops::sum_rows(Tensor::zeros({0, 3}, DType::f64)), values({0, 0, 0}, {3})) == 0);
  // More rows than are summed in one run; f32 sums of 1,000 normal elements.
  const Tensor tall = normal({1000, 70}, 1, DType::f32);
  const Tensor ones = Tensor::full({1, 1000}, 1, DType::f64);
  CHECK(distance(ops::sum_rows(tall), ops::matmul(ones, tall.to(DType::f64)).view({70})) < 1e-4);
}

TEST_CASE("rows are gathered and scattered in order") {
  const Tensor x = values({0, 1, 10, 11, 20, 21}, {3, 2});
  CHECK(distance(ops::gather_rows(x, indices({2, 0, 2})), values({20, 21, 0, 1, 20, 21}, {3, 2})) == 0);
  CHECK(ops::gather_rows(x, indices({})).rows() == 0);
  const Tensor rows = values({1, 2, 3, 4, 5, 6}, {3, 2});
  Tensor y = x.clone();
  ops::scatter_rows_(y, indices({1, 0, 1}), rows);
  CHECK(distance(y, values({3, 4, 5, 6, 20, 21}, {3, 2})) == 0);
  y = x.clone();
  ops::scatter_add_rows_(y, indices({1, 0, 1}), rows);
  CHECK(distance(y, values({3, 5, 16, 19, 20, 21}, {3, 2})) == 0);
}

TEST_CASE("scattering many rows onto few gives the same bits on any number of threads") {
  const int before = csreft::threads();
  const Tensor rows = normal({3000, 70}, 1, DType::f32);
  std::vector<std::int32_t> list(3000);
  for (std::size_t i = 0; i < list.size(); ++i) list[i] = static_cast<std::int32_t>(i * i % 7);
  const Tensor index = Tensor::from(std::span<const std::int32_t>(list), {3000});
  std::vector<Tensor> sums;
  for (const int threads : {1, 2, 3}) {
    csreft::set_threads(threads);
    Tensor y = Tensor::zeros({7, 70});
    ops::scatter_add_rows_(y, index, rows);
    sums.push_back(y);
  }
  csreft::set_threads(before);
  CHECK(same_bits(sums[0], sums[1]));
  CHECK(same_bits(sums[0], sums[2]));
}

TEST_CASE("means of segments, empty ones included") {
  const Tensor x = values({1, 2, 3, 4, 5, 6}, {3, 2}), offsets = indices({0, 2, 2, 3});
  CHECK(distance(ops::segment_mean(x, offsets), values({2, 3, 0, 0, 5, 6}, {3, 2})) == 0);
  CHECK(ops::segment_mean(Tensor::zeros({0, 2}), indices({0})).rows() == 0);
  const Tensor dy = normal({3, 2}, 1);
  CHECK(distance(ops::segment_mean_backward(dy, offsets),
                 numeric_gradient(x, [&] { return dot(dy, ops::segment_mean(x, offsets)); })) < gradient_tolerance);
}

TEST_CASE("reductions give the same bits on any number of threads") {
  const int before = csreft::threads();
  const Tensor x = normal({100003}, 1, DType::f32);
  csreft::set_threads(1);
  const double sum = ops::sum(x).item(), norm = ops::squared_norm(x);
  csreft::set_threads(2);
  CHECK(ops::sum(x).item() == sum);
  CHECK(ops::squared_norm(x) == norm);
  csreft::set_threads(before);
  const auto wide = x.to(DType::f64);
  // The sum is returned as a float: half an ulp of some hundred.
  CHECK(std::abs(sum - std::accumulate(wide.span<double>().begin(), wide.span<double>().end(), 0.0)) < 1e-4);
  CHECK(ops::sum(Tensor::zeros({0})).item() == 0);
  CHECK(ops::squared_norm(Tensor::full({3}, 1e30)) == doctest::Approx(3e60));
}

TEST_CASE("matrix products, transposed or not, with empty extents") {
  using ops::Transpose;
  constexpr std::int64_t extents[][3] = {{1, 1, 1}, {5, 7, 3}, {65, 33, 130}, {3, 4000, 5},
                                         {0, 4, 3}, {4, 0, 3}, {4, 5, 0}};
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const auto& [m, n, k] : extents) {
      for (const Transpose ta : {Transpose::no, Transpose::yes}) {
        for (const Transpose tb : {Transpose::no, Transpose::yes}) {
          const bool a_turned = ta == Transpose::yes, b_turned = tb == Transpose::yes;
          const Tensor a = normal(a_turned ? Shape{k, m} : Shape{m, k}, 1);
          const Tensor b = normal(b_turned ? Shape{n, k} : Shape{k, n}, 2);
          Tensor expected = Tensor::zeros({m, n}, DType::f64);
          for (std::int64_t i = 0; i < m; ++i) {
            for (std::int64_t j = 0; j < n; ++j) {
              for (std::int64_t l = 0; l < k; ++l) {
                expected.data<double>()[i * n + j] += a.data<double>()[a_turned ? l * m + i : i * k + l] *
                                                      b.data<double>()[b_turned ? j * k + l : l * n + j];
              }
            }
          }
          // Sums of up to 130 products of order 1.
          const double tolerance = dtype == DType::f32 ? 1e-4 : 1e-12;
          const Tensor y = ops::matmul(a.to(dtype), b.to(dtype), ta, tb);
          CHECK(distance(y, expected) < tolerance);
          ops::matmul_add_(y, a.to(dtype), b.to(dtype), ta, tb);
          CHECK(distance(y, ops::scale(expected, 2)) < tolerance);
        }
      }
    }
  }
}

TEST_CASE("TF32 keeps 10 bits of a fraction, to nearest, ties to even") {
  const Tensor one = Tensor::full({1, 1}, 1.0);
  const auto rounded = [&](float value) { return ops::matmul_tf32(Tensor::full({1, 1}, value), one).item(); };
  CHECK(rounded(1.0F + 0x1p-10F) == 1 + 0x1p-10);
  CHECK(rounded(1.0F + 0x1p-11F) == 1);               // a tie, down to even
  CHECK(rounded(1.0F + 3 * 0x1p-11F) == 1 + 0x1p-9);  // a tie, up to even
  CHECK(rounded(1.0F + 0x1p-11F + 0x1p-20F) == 1 + 0x1p-10);
  CHECK(rounded(-1.0F - 0x1p-12F) == -1);
  CHECK(std::isinf(rounded(HUGE_VALF)));
  CHECK(std::isnan(rounded(NAN)));
  const Tensor a = normal({5, 40}, 1, DType::f32), b = normal({40, 3}, 2, DType::f32);
  CHECK(distance(ops::matmul_tf32(a, b), ops::matmul(a, b)) < 40 * 4 * 0x1p-10);
  CHECK(distance(ops::matmul_tf32(a, b), ops::matmul(a, b)) > 1e-5);
  CHECK_THROWS_AS(ops::matmul_tf32(normal({2, 2}, 1), normal({2, 2}, 2)), Error);
  CHECK_THROWS_AS(ops::matmul_tf32(a, a), Error);
}

TEST_CASE("products of rounded factors are added to what is there, and take factors that are rounded before") {
  const Tensor x = normal({5, 40}, 1, DType::f32), w = normal({40, 3}, 2, DType::f32), w16 = w.to(DType::bf16);
  const Tensor turned = normal({3, 40}, 4, DType::f32), start = normal({5, 3}, 3, DType::f32);
  const Tensor in_bf16 = start.clone(), in_tf32 = start.clone();
  ops::matmul_bf16_add_(in_bf16, x, w16);
  ops::matmul_tf32_add_(in_tf32, x, w);
  // Sums of 40 products of order 1.
  CHECK(distance(in_bf16, ops::add(start, ops::matmul_bf16(x, w16))) < 1e-5);
  CHECK(distance(in_tf32, ops::add(start, ops::matmul_tf32(x, w))) < 1e-5);
  ops::matmul_tf32_add_(in_tf32, x, turned, ops::Transpose::yes);
  CHECK(distance(in_tf32, ops::add(ops::add(start, ops::matmul_tf32(x, w)),
                                   ops::matmul_tf32(x, turned, ops::Transpose::yes))) < 1e-5);
  CHECK(same_bits(ops::matmul_bf16(x.to(DType::bf16), w16), ops::matmul_bf16(x, w16)));
  CHECK_THROWS_AS(ops::matmul_bf16_add_(start, x, turned.to(DType::bf16)), Error);
  CHECK_THROWS_AS(ops::matmul_bf16_add_(normal({5, 4}, 1, DType::f32), x, w16), Error);
  CHECK_THROWS_AS(ops::matmul_bf16_add_(start.to(DType::f64), x, w16), Error);
  CHECK_THROWS_AS(ops::matmul_bf16(x.to(DType::f64), w16), Error);
  CHECK_THROWS_AS(ops::matmul_tf32(x.to(DType::bf16), w), Error);
}

TEST_CASE("a low-rank gate adds the offset, and scales the blocks by the gates of their example") {
  const Tensor product = values({1, 2, 3, 4, 5, 6, 7, 8}, {2, 4}), b = values({1, 0, -1, 2}, {4});
  const Tensor alpha = values({10, 100, 2, 3}, {2, 2}), example = indices({1, 0});
  Tensor u = product.clone();
  CHECK(distance(ops::low_rank_gate_(u, b, alpha, example), values({4, 4, 6, 18, 60, 60, 600, 1000}, {2, 4})) == 0);
  CHECK(distance(u, values({2, 2, 2, 6, 6, 6, 6, 10}, {2, 4})) == 0);
  u = product.clone();
  CHECK(distance(ops::low_rank_gate_(u, {}, alpha, example), values({2, 4, 9, 12, 50, 60, 700, 800}, {2, 4})) == 0);
  CHECK(distance(u, product) == 0);
  CHECK(ops::low_rank_gate_(u, b, {}, {}).raw() == u.raw());
  CHECK(distance(u, values({2, 2, 2, 6, 6, 6, 6, 10}, {2, 4})) == 0);
  CHECK(ops::low_rank_gate_(Tensor::zeros({0, 4}), Tensor::zeros({4}), Tensor::zeros({2, 2}), indices({})).rows() == 0);
}

TEST_CASE("the gradients of a low-rank gate agree with differences") {
  const Tensor product = normal({150, 6}, 1), b = normal({6}, 2), alpha = normal({4, 3}, 3), c = normal({150, 6}, 4);
  std::vector<std::int32_t> of;
  for (int i = 0; i < 150; ++i) of.push_back(i % 7 % 3);  // example 3 has no row
  const Tensor example = Tensor::from(std::span<const std::int32_t>(of), {150});
  const auto loss = [&] { return dot(c, ops::low_rank_gate_(product.clone(), b, alpha, example)); };
  const Tensor u = product.clone();
  ops::low_rank_gate_(u, b, alpha, example);
  const auto d = ops::low_rank_gate_backward(c, u, alpha, example);
  // The differences of losses of some tens.
  CHECK(distance(d.gated_c, numeric_gradient(product, loss)) < 1e-7);
  CHECK(distance(d.db, numeric_gradient(b, loss)) < 1e-7);
  CHECK(distance(d.dalpha, numeric_gradient(alpha, loss)) < 1e-7);
  CHECK(distance(d.dalpha.slice(3, 4), Tensor::zeros({1, 3}, DType::f64)) == 0);
}

TEST_CASE("rows are added to those that an index names, the others stay") {
  const Tensor x = values({1, 2, 3, 4, 5, 6}, {3, 2}), rows = values({10, 20, 30, 40}, {2, 2});
  CHECK(distance(ops::add_rows(x, indices({2, 0}), rows), values({31, 42, 3, 4, 15, 26}, {3, 2})) == 0);
  CHECK(distance(x, values({1, 2, 3, 4, 5, 6}, {3, 2})) == 0);
  CHECK(distance(ops::add_rows(x, indices({}), Tensor::zeros({0, 2}, DType::f64)), x) == 0);
  CHECK_THROWS_AS(ops::add_rows(x, indices({1, 1}), rows), Error);
  CHECK_THROWS_AS(ops::add_rows(x, indices({1, 3}), rows), Error);
  CHECK_THROWS_AS(ops::add_rows(x, indices({1}), rows), Error);
}

TEST_CASE("shapes and types that do not fit are errors") {
  const Tensor a = Tensor::zeros({2, 3}), row = Tensor::zeros({3});
  CHECK_THROWS_AS(ops::add(a, Tensor::zeros({3, 2})), Error);
  CHECK_THROWS_AS(ops::add(a, Tensor::zeros({2, 3}, DType::f64)), Error);
  CHECK_THROWS_AS(ops::add(Tensor(), a), Error);
  CHECK_THROWS_AS(ops::add(a, Tensor()), Error);
  CHECK_THROWS_AS(ops::relu(Tensor::zeros({2}, DType::bf16)), Error);
  CHECK_THROWS_AS(ops::axpy_(a, 1, row), Error);
  CHECK_THROWS_AS(ops::silu_mul_backward(a, a, row), Error);
  CHECK_THROWS_AS(ops::softmax(row), Error);
  CHECK_THROWS_AS(ops::add_row(a, Tensor::zeros({2})), Error);
  CHECK_THROWS_AS(ops::sum_rows(row), Error);
  CHECK_THROWS_AS(ops::matmul(a, a), Error);
  CHECK_THROWS_AS(ops::matmul_add_(row, a, a), Error);
  CHECK_THROWS_AS(ops::low_rank_gate_(a, Tensor::zeros({2}), {}, {}), Error);
  CHECK_THROWS_AS(ops::low_rank_gate_(a, row, Tensor::zeros({1, 2}), indices({0, 0})), Error);
  CHECK_THROWS_AS(ops::low_rank_gate_(a, row, Tensor::zeros({1, 0}), indices({0, 0})), Error);
  CHECK_THROWS_AS(ops::low_rank_gate_backward(a, row, Tensor::zeros({1, 3}), indices({0, 0})), Error);
}

TEST_CASE("stacks of points and draws that do not fit are errors") {
  using enum ops::StiefelMetric;
  using enum ops::StiefelRetraction;
  const Tensor R = Tensor::zeros({4, 3}), row = Tensor::zeros({3});
  CHECK_THROWS_AS(ops::stiefel_gradient(row, row, 1, euclidean), Error);
  CHECK_THROWS_AS(ops::stiefel_gradient(R, R.to(DType::f64), 2, euclidean), Error);
  for (const std::int64_t block_rows : {0, 3, 4}) {
    CHECK_THROWS_AS(ops::stiefel_gradient(R, R, block_rows, euclidean), Error);
    CHECK_THROWS_AS(ops::stiefel_retract(R, R, block_rows, qr), Error);
  }
  CHECK_THROWS_AS(ops::stiefel_retract(R, R.slice(0, 2), 2, qr), Error);
  const auto step = [&](const Tensor& m, const Tensor& v) {
    const ops::StiefelUpdate update{R, R, m, v, 2, {euclidean, qr, 0.9, 0.1, 0.99, 0.1, 1, 1e-8}};
    ops::stiefel_step_({&update, 1});
  };
  CHECK_THROWS_AS(step({}, {}), Error);
  CHECK_THROWS_AS(step(R.clone(), Tensor::zeros({2})), Error);
  CHECK_THROWS_AS(step(R.clone(), Tensor::zeros({3}, DType::f64)), Error);

  const Tensor logits = Tensor::zeros({2, 5}), draws = Tensor::zeros({2, 2}, DType::i32), tokens = indices({0, 0});
  CHECK_THROWS_AS(ops::sample_(row, {}, 0, draws, tokens), Error);
  CHECK_THROWS_AS(ops::sample_(Tensor::zeros({2, 0}), {}, 0, draws, tokens), Error);
  CHECK_THROWS_AS(ops::sample_(logits, {}, 0, tokens, tokens), Error);
  CHECK_THROWS_AS(ops::sample_(logits, {}, 0, draws, Tensor::zeros({2})), Error);
  CHECK_THROWS_AS(ops::fill_normal_(tokens, 0, 1, 2, 3), Error);
  CHECK_THROWS_AS(ops::fill_uniform_(tokens, 0, 1, 2, 3), Error);
}

TEST_CASE("indices and offsets that do not fit are errors") {
  const Tensor a = Tensor::zeros({2, 3});
  CHECK_THROWS_AS(ops::gather_rows(a, indices({0, 2})), Error);
  CHECK_THROWS_AS(ops::gather_rows(a, indices({-1})), Error);
  CHECK_THROWS_AS(ops::gather_rows(a, Tensor::zeros({1})), Error);
  CHECK_THROWS_AS(ops::scatter_rows_(a, indices({0, 2}), a), Error);
  CHECK_THROWS_AS(ops::scatter_rows_(a, indices({0}), a), Error);
  CHECK_THROWS_AS(ops::scatter_rows_(a.to(DType::bf16), indices({0, 1}), a.to(DType::f64)), Error);
  CHECK_THROWS_AS(ops::scatter_rows_(a.to(DType::f32), indices({0, 1}), a.to(DType::bf16)), Error);
  CHECK_THROWS_AS(ops::scatter_add_rows_(a, indices({-1, 0}), a), Error);
  CHECK_THROWS_AS(ops::segment_mean(a, indices({0, 1})), Error);
  CHECK_THROWS_AS(ops::segment_mean(a, indices({0, 2, 1, 2})), Error);
  CHECK_THROWS_AS(ops::segment_mean(a, indices({})), Error);
  CHECK_THROWS_AS(ops::segment_mean_backward(a, indices({0, 1})), Error);
  CHECK_THROWS_AS(ops::low_rank_gate_(a, {}, Tensor::zeros({1, 3}), indices({0, 1})), Error);
  CHECK_THROWS_AS(ops::low_rank_gate_backward(a, a, Tensor::zeros({1, 3}), indices({0, 1})), Error);
}

TEST_CASE("the number of threads can be set, within reason") {
  const int before = csreft::threads();
  csreft::set_threads(0);
  CHECK(csreft::threads() >= 1);
  csreft::set_threads(3);
  CHECK(csreft::threads() == 3);
  CHECK_THROWS_AS(csreft::set_threads(-1), Error);
  CHECK_THROWS_AS(csreft::set_threads(100000), Error);
  csreft::set_threads(before);
}

TEST_CASE("several tensors are scaled and copied together") {
  const std::vector<Tensor> x{values({1, -2}, {2}), Tensor{}, values({3, 5, 7, 9}, {2, 2})};
  const auto scaled = ops::scale_all(x, 0.5);
  CHECK(distance(scaled[0], values({0.5, -1}, {2})) == 0);
  CHECK_FALSE(scaled[1].defined());
  CHECK(distance(scaled[2], values({1.5, 2.5, 3.5, 4.5}, {2, 2})) == 0);
  CHECK(x[0].span<double>()[1] == -2);
  CHECK(ops::scale_all({}, 2).empty());

  const std::vector<Tensor> from{values({0.1}, {1}), values({1e-50, 2}, {2})};
  const std::vector<Tensor> to{Tensor::zeros({1}), Tensor::zeros({2})};
  ops::copy_all_(to, from);
  CHECK(to[0].span<float>()[0] == 0.1F);
  CHECK(to[1].span<float>()[0] == 0);
  CHECK(to[1].span<float>()[1] == 2);
  CHECK_THROWS_AS(ops::copy_all_(to, std::span(from).first(1)), Error);
  CHECK_THROWS_AS(ops::copy_all_(to, x), Error);
  CHECK_THROWS_AS(ops::copy_all_(std::vector<Tensor>{to[1], to[0]}, from), Error);
  CHECK_THROWS_AS(ops::scale_all(std::vector<Tensor>{from[0], to[0]}, 2), Error);
}
