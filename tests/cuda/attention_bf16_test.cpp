// Attention with products in bf16 on a CUDA device, real or emulated, against its definition in double. What tensor
// cores round (P, dS, and the factors as they are given) has a bound; all else is f32.
#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"

namespace ops = csreft::ops;
using csreft::Device;
using csreft::DType;
using csreft::Shape;
using csreft::Tensor;
using csreft::ops::AttentionHeads;
using csreft::ops::AttentionLayout;
using csreft::test::distance;
using csreft::test::indices;
using csreft::test::normal;
using csreft::test::same_bits;

namespace {

// bf16 has 8 significant bits: rounding to nearest changes a number by at most this part of it.
constexpr double unit = 0x1p-8;
// Sums of some hundred products of order 1 to 10 in f32.
constexpr double f32_error = 1e-4;

struct Inputs {
  Tensor q, k, v, dout;
};

// A result in double, and how far rounding may move it.
struct Bounded {
  explicit Bounded(const Shape& shape) : value(Tensor::zeros(shape, DType::f64)), bound(value.clone()) {}
  void add(std::int64_t i, double term, double rounded_part) {
    value.data<double>()[i] += term;
    bound.data<double>()[i] += unit * std::abs(rounded_part);
  }
  Tensor value, bound;
};

struct Expected {
  Bounded out, lse, dq, dk, dv;
};

// Row `row` of head `head` in a matrix of n_heads heads.
const double* head_of(const Tensor& t, std::int64_t row, std::int64_t head, const AttentionHeads& h,
                      std::int64_t n_heads) {
  return t.data<double>() + (row * n_heads + head) * h.head_dim;
}

double product(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// The part of one query, row i of q with `head`, that sees `keys` keys from row k_start on.
void add_query(const Inputs& x, const AttentionHeads& h, std::int64_t i, std::int64_t head, std::int64_t k_start,
               std::int64_t keys, Expected& expected) {
  const std::int64_t kv_head = head / (h.n_heads / h.n_kv_heads), d = h.head_dim;
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  const double *q = head_of(x.q, i, head, h, h.n_heads), *dout = head_of(x.dout, i, head, h, h.n_heads);
  const std::int64_t at = (i * h.n_heads + head) * d;
  std::vector<double> p(static_cast<std::size_t>(keys));
  double total = 0;
  for (std::int64_t j = 0; j < keys; ++j) {
    total += p[static_cast<std::size_t>(j)] =
        std::exp(scale * product(q, head_of(x.k, k_start + j, kv_head, h, h.n_kv_heads), d));
  }
  expected.lse.add(i * h.n_heads + head, std::log(total), 0);
  for (std::int64_t j = 0; j < keys; ++j) {
    const double* v = head_of(x.v, k_start + j, kv_head, h, h.n_kv_heads);
    const double probability = p[static_cast<std::size_t>(j)] /= total;
    for (std::int64_t c = 0; c < d; ++c) expected.out.add(at + c, probability * v[c], probability * v[c]);
  }
  const double delta = product(dout, expected.out.value.data<double>() + at, d);
  for (std::int64_t j = 0; j < keys; ++j) {
    const std::int64_t key_at = ((k_start + j) * h.n_kv_heads + kv_head) * d;
    const double *k = x.k.data<double>() + key_at, *v = x.v.data<double>() + key_at;
    const double probability = p[static_cast<std::size_t>(j)];
    const double ds = scale * probability * (product(dout, v, d) - delta);
    for (std::int64_t c = 0; c < d; ++c) {
      expected.dq.add(at + c, ds * k[c], ds * k[c]);
      expected.dk.add(key_at + c, ds * q[c], ds * q[c]);
      expected.dv.add(key_at + c, probability * dout[c], probability * dout[c]);
    }
  }
}

Expected expected_of(const Inputs& x, const AttentionLayout& layout, const AttentionHeads& h) {
  Expected expected{Bounded(x.q.shape()), Bounded(Shape{x.q.rows(), h.n_heads}), Bounded(x.q.shape()),
                    Bounded(x.k.shape()), Bounded(x.k.shape())};
  const auto offsets = layout.q_offsets.span<std::int32_t>(), starts = layout.k_starts.span<std::int32_t>(),
             lengths = layout.k_lengths.span<std::int32_t>();
  for (std::size_t s = 0; s < starts.size(); ++s) {
    for (std::int32_t i = offsets[s]; i < offsets[s + 1]; ++i) {
      const std::int32_t keys = lengths[s] - (offsets[s + 1] - offsets[s]) + i - offsets[s] + 1;
      for (std::int64_t head = 0; head < h.n_heads; ++head) add_query(x, h, i, head, starts[s], keys, expected);
    }
  }
  return expected;
}

void check(const Tensor& got, const Bounded& expected) {
  const Tensor here = got.to(Device{}).to(DType::f64);
  REQUIRE(here.shape() == expected.value.shape());
  std::int64_t outside = 0;
  for (std::int64_t i = 0; i < here.numel(); ++i) {
    const double error = std::abs(here.data<double>()[i] - expected.value.data<double>()[i]);
    if (!(error <= expected.bound.data<double>()[i] + f32_error)) ++outside;
  }
  CHECK(outside == 0);
}

struct Case {
  AttentionLayout layout;
  AttentionHeads heads;
  std::int64_t queries, keys;

  Inputs inputs() const {
    const Shape q{queries, heads.n_heads * heads.head_dim}, k{keys, heads.n_kv_heads * heads.head_dim};
    return {normal(q, 1), normal(k, 2), normal(k, 3), normal(q, 4)};
  }
};

std::vector<Case> cases() {
  // Tiles are of 64 and of 32 rows.
  const AttentionLayout packed{indices({0, 70, 71, 71, 104}), indices({0, 70, 71, 71}), indices({70, 1, 0, 33})};
  const AttentionLayout whole_tiles{indices({0, 64}), indices({0}), indices({64})};
  const AttentionLayout after_a_past{indices({0, 40, 57}), indices({20, 95}), indices({75, 17})};
  return {{packed, {2, 2, 64, true}, 104, 104},     {packed, {3, 1, 128, true}, 104, 104},
          {packed, {4, 1, 64, true}, 104, 104},     {whole_tiles, {1, 1, 128, true}, 64, 64},
          {whole_tiles, {2, 1, 20, true}, 64, 64},  {after_a_past, {2, 1, 64, true}, 57, 112},
          {after_a_past, {1, 1, 90, true}, 57, 112}};
}

Tensor there(const Tensor& t) { return t.to(DType::f32).to(test_device()); }
// What tensor cores make of a number, in double.
Tensor rounded(const Tensor& t) { return t.to(DType::f32).to(DType::bf16).to(DType::f64); }
Inputs rounded(const Inputs& x) { return {rounded(x.q), rounded(x.k), rounded(x.v), rounded(x.dout)}; }

ops::Attention attend(const Inputs& x, const Case& c) {
  return ops::attention(there(x.q), there(x.k), there(x.v), c.layout, c.heads);
}
ops::AttentionGradient differentiate(const Inputs& x, const Case& c, const ops::Attention& forward) {
  return ops::attention_backward(there(x.dout), there(x.q), there(x.k), there(x.v), forward, c.layout, c.heads);
}

}  // namespace

TEST_CASE("cuda: attention in bf16 is its definition, as far as bf16 is exact") {
  for (const Case& c : cases()) {
    CAPTURE(c.heads.n_heads);
    CAPTURE(c.heads.head_dim);
    const Inputs x = rounded(c.inputs());
    const Expected expected = expected_of(x, c.layout, c.heads);
    const auto forward = attend(x, c);
    check(forward.out, expected.out);
    check(forward.lse, expected.lse);
    const ops::Attention exact{there(expected.out.value), there(expected.lse.value)};
    const auto d = differentiate(x, c, exact);
    check(d.dq, expected.dq);
    check(d.dk, expected.dk);
    check(d.dv, expected.dv);
  }
}

TEST_CASE("cuda: attention in bf16 rounds its factors, and gives the same bits each time") {
  const Case c = cases()[5];
  const Inputs x = c.inputs();
  const auto forward = attend(x, c), of_rounded = attend(rounded(x), c);
  CHECK(same_bits(forward.out.to(Device{}), of_rounded.out.to(Device{})));
  CHECK(same_bits(forward.lse.to(Device{}), of_rounded.lse.to(Device{})));
  const auto d = differentiate(x, c, forward), again = differentiate(x, c, forward);
  CHECK(same_bits(d.dq.to(Device{}), again.dq.to(Device{})));
  CHECK(same_bits(d.dk.to(Device{}), again.dk.to(Device{})));
  CHECK(same_bits(d.dv.to(Device{}), again.dv.to(Device{})));
  // Rows of keys that belong to no sequence have no gradient.
  CHECK(distance(d.dk.to(Device{}).slice(0, 20), Tensor::zeros({20, 64})) == 0);
}

TEST_CASE("cuda: attention takes bf16 where it is asked to and where there are queries enough, f32 elsewhere") {
  const auto changes = [](Case c) {
    const Inputs x = c.inputs();
    const Tensor with = attend(x, c).out.to(Device{});
    c.heads.bf16_products = false;
    return !same_bits(with, attend(x, c).out.to(Device{}));
  };
  CHECK(changes({{indices({0, 16}), indices({0}), indices({16})}, {1, 1, 64, true}, 16, 16}));
  CHECK_FALSE(changes({{indices({0, 15}), indices({0}), indices({15})}, {1, 1, 64, true}, 15, 15}));
  CHECK_FALSE(changes({{indices({0, 1}), indices({0}), indices({40})}, {1, 1, 64, true}, 1, 40}));
  CHECK_FALSE(changes({{indices({0, 16}), indices({0}), indices({16})}, {1, 1, 130, true}, 16, 16}));
  CHECK_FALSE(changes({{indices({0, 16}), indices({0}), indices({16})}, {1, 1, 64, false}, 16, 16}));
}
