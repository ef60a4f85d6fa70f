#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/threads.h"
#include "core/ops/ops.h"
#include "tests/core/ops/numbers.h"

namespace ops = csreft::ops;
using csreft::DType;
using csreft::Error;
using csreft::Tensor;
using csreft::ops::AttentionHeads;
using csreft::ops::AttentionLayout;
using csreft::test::distance;
using csreft::test::dot;
using csreft::test::indices;
using csreft::test::normal;
using csreft::test::numeric_gradient;
using csreft::test::same_bits;

namespace {

// Every sequence sees its own rows, and no others.
AttentionLayout packed(std::initializer_list<std::int32_t> lengths) {
  std::vector<std::int32_t> offsets{0};
  for (const auto length : lengths) offsets.push_back(offsets.back() + length);
  const std::span<const std::int32_t> all(offsets);
  return {Tensor::from(all, {static_cast<std::int64_t>(all.size())}),
          Tensor::from(all.first(lengths.size()), {static_cast<std::int64_t>(lengths.size())}), indices(lengths)};
}

// Score by score, in double.
ops::Attention reference(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout,
                         const AttentionHeads& h) {
  ops::Attention result{Tensor::zeros(q.shape(), DType::f64), Tensor::zeros({q.rows(), h.n_heads}, DType::f64)};
  const auto* offset = layout.q_offsets.data<std::int32_t>();
  for (std::int64_t s = 0; s < layout.k_starts.numel(); ++s) {
    const std::int64_t start = layout.k_starts.data<std::int32_t>()[s];
    const std::int64_t past = layout.k_lengths.data<std::int32_t>()[s] - (offset[s + 1] - offset[s]);
    for (std::int64_t i = offset[s]; i < offset[s + 1]; ++i) {
      for (std::int64_t head = 0; head < h.n_heads; ++head) {
        const std::int64_t kv_head = head / (h.n_heads / h.n_kv_heads);
        const auto row = [&](const Tensor& t, std::int64_t key) {
          return t.data<double>() + ((start + key) * h.n_kv_heads + kv_head) * h.head_dim;
        };
        const double* query = q.data<double>() + (i * h.n_heads + head) * h.head_dim;
        std::vector<double> scores(static_cast<std::size_t>(past + i - offset[s] + 1));
        for (std::size_t key = 0; key < scores.size(); ++key) {
          for (std::int64_t j = 0; j < h.head_dim; ++j)
            scores[key] += query[j] * row(k, static_cast<std::int64_t>(key))[j];
          scores[key] /= std::sqrt(static_cast<double>(h.head_dim));
        }
        const double max = *std::ranges::max_element(scores);
        double total = 0;
        for (double& score : scores) total += score = std::exp(score - max);
        result.lse.data<double>()[i * h.n_heads + head] = max + std::log(total);
        for (std::size_t key = 0; key < scores.size(); ++key) {
          for (std::int64_t j = 0; j < h.head_dim; ++j) {
            result.out.data<double>()[(i * h.n_heads + head) * h.head_dim + j] +=
                scores[key] / total * row(v, static_cast<std::int64_t>(key))[j];
          }
        }
      }
    }
  }
  return result;
}

struct Case {
  AttentionLayout layout;
  AttentionHeads heads;
  std::int64_t key_rows;
};

// Against the reference, in f64 and in f32.
void check_forward(const Case& c, double size = 1) {
  const std::int64_t n = c.layout.q_offsets.span<std::int32_t>().back();
  const Tensor q = ops::scale(normal({n, c.heads.n_heads * c.heads.head_dim}, 1), size);
  const Tensor k = normal({c.key_rows, c.heads.n_kv_heads * c.heads.head_dim}, 2);
  const Tensor v = normal(k.shape(), 3);
  const auto expected = reference(q, k, v, c.layout, c.heads);
  const auto wide = ops::attention(q, k, v, c.layout, c.heads);
  CHECK(distance(wide.out, expected.out) < 1e-12 * (1 + size));
  CHECK(distance(wide.lse, expected.lse) < 1e-12 * (1 + size));
  // Scores of order `size` are exact to 1e-7 of it, and so are their exponentials relative to the largest.
  const auto narrow = ops::attention(q.to(DType::f32), k.to(DType::f32), v.to(DType::f32), c.layout, c.heads);
  CHECK(distance(narrow.out, expected.out) < 5e-6 * (1 + size));
  CHECK(distance(narrow.lse, expected.lse) < 5e-6 * (1 + size));
}

}  // namespace

TEST_CASE("attention agrees with its definition") {
  check_forward({packed({1}), {1, 1, 1}, 1});
  check_forward({packed({1}), {1, 1, 64}, 1});
  check_forward({packed({64}), {2, 2, 16}, 64});
  check_forward({packed({65}), {1, 1, 8}, 65});
  check_forward({packed({200}), {3, 1, 64}, 200});
  check_forward({packed({130, 1, 0, 63, 77}), {9, 3, 20}, 271});
  check_forward({packed({33}), {4, 2, 128}, 33});
  check_forward({packed({}), {2, 1, 8}, 0});
  check_forward({packed({0, 0}), {2, 1, 8}, 0});
}

TEST_CASE("queries are the last tokens of what they see, as with a cache") {
  check_forward({{indices({0, 1, 2, 5}), indices({0, 300, 100}), indices({70, 1, 150})}, {6, 2, 24}, 301});
  check_forward({{indices({0, 100}), indices({7}), indices({333})}, {3, 1, 16}, 340});
  // Two sequences may share a prefix.
  check_forward({{indices({0, 1, 2}), indices({0, 0}), indices({65, 64})}, {2, 2, 8}, 65});
}

TEST_CASE("a step is attention of the last token of each sequence") {
  const ops::AttentionHeads heads{4, 2, 6};
  const Tensor q = normal({3, 24}, 1), k = normal({30, 12}, 2), v = normal({30, 12}, 3);
  const Tensor starts = indices({10, 0, 22}), lengths = indices({12, 1, 8});
  const auto whole = ops::attention(q, k, v, {indices({0, 1, 2, 3}), starts, lengths}, heads);
  CHECK(same_bits(ops::attention_step(q, k, v, starts, lengths, 12, heads), whole.out));
  CHECK_THROWS_WITH_AS(ops::attention_step(q, k, v, starts, lengths, 11, heads), doctest::Contains("expected 1 to 11"),
                       Error);
  CHECK_THROWS_AS(ops::attention_step(q, k, v, starts, indices({12, 0, 8}), 12, heads), Error);
  CHECK_THROWS_AS(ops::attention_step(q, k, v, indices({10, 0, 23}), lengths, 12, heads), Error);
  CHECK_THROWS_AS(ops::attention_step(q, k, v, starts, lengths, 31, heads), Error);
  CHECK_THROWS_AS(ops::attention_step(q, k, v, indices({10, 0}), lengths, 12, heads), Error);
}

TEST_CASE("a step may read keys and values in bf16") {
  const ops::AttentionHeads heads{4, 2, 6};
  const Tensor q = normal({3, 24}, 1, DType::f32), k = normal({30, 12}, 2).to(DType::bf16),
               v = normal({30, 12}, 3).to(DType::bf16);
  const Tensor starts = indices({10, 0, 22}), lengths = indices({12, 1, 8});
  CHECK(same_bits(ops::attention_step(q, k, v, starts, lengths, 12, heads),
                  ops::attention_step(q, k.to(DType::f32), v.to(DType::f32), starts, lengths, 12, heads)));
  CHECK_THROWS_AS(ops::attention_step(q, k, v.to(DType::f32), starts, lengths, 12, heads), Error);
  CHECK_THROWS_AS(ops::attention_step(q.to(DType::f64), k, v, starts, lengths, 12, heads), Error);
  CHECK_THROWS_AS(ops::attention(q, k, v, {indices({0, 1, 2, 3}), starts, lengths}, heads), Error);
}

TEST_CASE("scores of ten thousand do not overflow") { check_forward({packed({100}), {3, 1, 32}, 100}, 1e4); }

TEST_CASE("the gradients of attention agree with differences") {
  const Case cases[] = {{packed({1}), {1, 1, 1}, 1},
                        {packed({67}), {1, 1, 2}, 67},
                        {packed({3, 0, 5, 1}), {6, 2, 3}, 9},
                        {{indices({0, 2, 3}), indices({1, 75}), indices({70, 1})}, {2, 1, 3}, 78}};
  for (const Case& c : cases) {
    const std::int64_t n = c.layout.q_offsets.span<std::int32_t>().back();
    const Tensor q = normal({n, c.heads.n_heads * c.heads.head_dim}, 1), dout = normal(q.shape(), 4);
    const Tensor k = normal({c.key_rows, c.heads.n_kv_heads * c.heads.head_dim}, 2), v = normal(k.shape(), 3);
    const auto loss = [&] { return dot(dout, ops::attention(q, k, v, c.layout, c.heads).out); };
    const auto forward = ops::attention(q, k, v, c.layout, c.heads);
    const auto d = ops::attention_backward(dout, q, k, v, forward, c.layout, c.heads);
    CHECK(distance(d.dq, numeric_gradient(q, loss)) < 1e-7);
    CHECK(distance(d.dk, numeric_gradient(k, loss)) < 1e-7);
    CHECK(distance(d.dv, numeric_gradient(v, loss)) < 1e-7);
  }
}

TEST_CASE("the gradients of attention in f32 agree with those in f64, over several tiles") {
  const AttentionHeads heads{9, 3, 64};
  const AttentionLayout layout = packed({200, 1, 129});
  const Tensor q = normal({330, 576}, 1), k = normal({330, 192}, 2), v = normal({330, 192}, 3),
               dout = normal({330, 576}, 4);
  const auto wide = ops::attention_backward(dout, q, k, v, ops::attention(q, k, v, layout, heads), layout, heads);
  const Tensor q32 = q.to(DType::f32), k32 = k.to(DType::f32), v32 = v.to(DType::f32);
  const auto narrow = ops::attention_backward(dout.to(DType::f32), q32, k32, v32,
                                              ops::attention(q32, k32, v32, layout, heads), layout, heads);
  // Sums of up to 600 terms of order 1 to 10.
  CHECK(distance(narrow.dq, wide.dq) < 1e-4);
  CHECK(distance(narrow.dk, wide.dk) < 1e-4);
  CHECK(distance(narrow.dv, wide.dv) < 1e-4);
}

TEST_CASE("attention and its gradients give the same bits on any number of threads") {
  const int before = csreft::threads();
  const AttentionHeads heads{6, 2, 32};
  const AttentionLayout layout = packed({150, 70, 90});
  const Tensor q = normal({310, 192}, 1, DType::f32), k = normal({310, 64}, 2, DType::f32);
  const Tensor v = normal({310, 64}, 3, DType::f32), dout = normal({310, 192}, 4, DType::f32);
  csreft::set_threads(1);
  const auto forward = ops::attention(q, k, v, layout, heads);
  const auto gradient = ops::attention_backward(dout, q, k, v, forward, layout, heads);
  for (const int threads : {1, 2, 3}) {
    csreft::set_threads(threads);
    const auto again = ops::attention(q, k, v, layout, heads);
    CHECK(same_bits(again.out, forward.out));
    CHECK(same_bits(again.lse, forward.lse));
    const auto d = ops::attention_backward(dout, q, k, v, forward, layout, heads);
    CHECK(same_bits(d.dq, gradient.dq));
    CHECK(same_bits(d.dk, gradient.dk));
    CHECK(same_bits(d.dv, gradient.dv));
  }
  csreft::set_threads(before);
}

TEST_CASE("the CPU's products are those of the tensors' type also where bf16 would do") {
  const Tensor q = normal({40, 64}, 1, DType::f32), k = normal({40, 32}, 2, DType::f32);
  CHECK(same_bits(ops::attention(q, k, k, packed({40}), {2, 1, 32, true}).out,
                  ops::attention(q, k, k, packed({40}), {2, 1, 32}).out));
}

TEST_CASE("a query that is not a number spoils its own output only") {
  const Tensor q = normal({5, 8}, 1, DType::f32), k = normal({5, 8}, 2, DType::f32);
  q.data<float>()[2 * 8] = std::numeric_limits<float>::quiet_NaN();
  const Tensor out = ops::attention(q, k, k, packed({5}), {1, 1, 8}).out;
  CHECK(std::isnan(out.data<float>()[2 * 8]));
  CHECK(csreft::test::all_finite(out.slice(0, 2)));
  CHECK(csreft::test::all_finite(out.slice(3, 5)));
}

TEST_CASE("an attention layout that does not fit is an error") {
  const Tensor q = Tensor::zeros({4, 8}), k = Tensor::zeros({6, 4});
  const AttentionHeads heads{2, 1, 4};
  const auto attend = [&](const AttentionLayout& layout, const AttentionHeads& h) {
    return ops::attention(q, k, k, layout, h);
  };
  const AttentionLayout good{indices({0, 4}), indices({2}), indices({4})};
  CHECK_NOTHROW(attend(good, heads));
  CHECK_THROWS_AS(attend(good, {2, 0, 4}), Error);
  CHECK_THROWS_AS(attend(good, {3, 2, 4}), Error);
  CHECK_THROWS_AS(attend(good, {1, 1, 4}), Error);
  CHECK_THROWS_AS(attend({indices({0, 3}), indices({2}), indices({4})}, heads), Error);
  CHECK_THROWS_AS(attend({indices({0, 4}), indices({3}), indices({4})}, heads), Error);
  CHECK_THROWS_AS(attend({indices({0, 4}), indices({-1}), indices({4})}, heads), Error);
  CHECK_THROWS_AS(attend({indices({0, 4}), indices({0}), indices({3})}, heads), Error);
  CHECK_THROWS_AS(attend({indices({0, 4}), indices({0, 0}), indices({4, 4})}, heads), Error);
  CHECK_THROWS_AS(ops::attention(q, k, Tensor::zeros({5, 4}), good, heads), Error);

  const AttentionLayout shared{indices({0, 2, 4}), indices({0, 2}), indices({3, 3})};
  const auto forward = attend(shared, heads);
  CHECK_THROWS_AS(ops::attention_backward(q, q, k, k, forward, shared, heads), Error);
}
