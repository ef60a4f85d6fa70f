// Attention on a CUDA device against attention on the CPU, in f32 and f64; with bf16 factors: attention_bf16_test.cpp.
#include <array>
#include <initializer_list>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "tests/core/ops/numbers.h"
#include "tests/cuda/compare.h"
#include "tests/device.h"

namespace ops = csreft::ops;
using csreft::Device;
using csreft::DType;
using csreft::Tensor;
using csreft::test::compare;
using csreft::test::distance;
using csreft::test::indices;
using csreft::test::normal;
using csreft::test::Place;
using csreft::test::Results;
using csreft::test::same_bits;

namespace {

struct AttentionCase {
  ops::AttentionLayout layout;
  ops::AttentionHeads heads;
  std::int64_t queries, keys;
};

Results attention_results(const AttentionCase& c, const Place& on) {
  const Tensor q = on({c.queries, c.heads.n_heads * c.heads.head_dim}, 1);
  const Tensor k = on({c.keys, c.heads.n_kv_heads * c.heads.head_dim}, 2), v = on(k.shape(), 3);
  const ops::Attention forward = ops::attention(q, k, v, c.layout, c.heads);
  const auto d = ops::attention_backward(on(q.shape(), 4), q, k, v, forward, c.layout, c.heads);
  return {forward.out, forward.lse, d.dq, d.dk, d.dv};
}

void compare_attention(const AttentionCase& c, std::initializer_list<DType> dtypes = {DType::f32, DType::f64}) {
  compare([&](const Place& on) { return attention_results(c, on); }, dtypes);
}

}  // namespace

TEST_CASE("cuda: attention and its gradients") {
  const auto packed = [](std::initializer_list<std::int32_t> offsets, std::initializer_list<std::int32_t> starts,
                         std::initializer_list<std::int32_t> lengths) {
    return ops::AttentionLayout{indices(offsets), indices(starts), indices(lengths)};
  };
  compare_attention({packed({0, 40, 41, 41, 74}, {0, 40, 41, 41}, {40, 1, 0, 33}), {4, 2, 6}, 74, 74});
  compare_attention({packed({0, 35}, {0}, {35}), {3, 1, 40}, 35, 35});
  compare_attention({packed({0, 5}, {0}, {5}), {2, 2, 72}, 5, 5});
  // Tiles of wider heads in f64 have no room in a block's shared memory.
  const AttentionCase wide{packed({0, 5}, {0}, {5}), {1, 1, 130}, 5, 5};
  compare_attention(wide, {DType::f32});
  CHECK_THROWS_WITH_AS(attention_results(wide, {DType::f64, test_device()}),
                       doctest::Contains("f64 heads of 130 components, expected at most 128 on cuda"), csreft::Error);
  // With a cache: the queries are the last tokens of what they see.
  compare_attention({packed({0, 1, 4}, {50, 0}, {33, 50}), {4, 2, 8}, 4, 90});
}

TEST_CASE("cuda: attention of one query a sequence") {
  struct Step {
    std::vector<std::int32_t> starts, lengths;
    std::int64_t longest, keys;
    ops::AttentionHeads heads;
  };
  // Chunks of 128 keys: less than one, one, and several; heads wider than a block; more room than is used.
  for (const Step& step : {Step{{0, 40, 41}, {7, 1, 33}, 64, 110, {4, 2, 6}},
                           Step{{300, 0}, {128, 300}, 300, 430, {3, 1, 64}}, Step{{1}, {129}, 700, 701, {2, 2, 130}}}) {
    const auto n = static_cast<std::int64_t>(step.starts.size());
    const auto index = [](const std::vector<std::int32_t>& list) {
      return Tensor::from(std::span<const std::int32_t>(list), {static_cast<std::int64_t>(list.size())});
    };
    compare([&](const Place& on) {
      const Tensor q = on({n, step.heads.n_heads * step.heads.head_dim}, 1);
      const Tensor k = on({step.keys, step.heads.n_kv_heads * step.heads.head_dim}, 2), v = on(k.shape(), 3);
      return Results{ops::attention_step(q, k, v, index(step.starts).to(on.device), index(step.lengths).to(on.device),
                                         step.longest, step.heads)};
    });
  }
}

TEST_CASE("cuda: keys and values that are kept in bf16") {
  const ops::AttentionHeads heads{4, 2, 6};
  const Tensor q = normal({2, 24}, 1, DType::f32), k = normal({200, 12}, 2, DType::f32);
  const Tensor v = normal({200, 12}, 3, DType::f32), rows = normal({3, 12}, 4, DType::f32);
  const Tensor starts = indices({0, 150}), lengths = indices({140, 7}), places = indices({199, 0, 42});
  const Tensor repeated = indices({20, 151, 20});  // the host's index may name a row twice: the last one stays
  const auto step = [&](const Device& device, bool index_there) {
    const Tensor kept_k = k.to(DType::bf16).to(device).clone(), kept_v = v.to(DType::bf16).to(device).clone();
    ops::scatter_rows_(kept_k, index_there ? places.to(device) : places, rows.to(device));
    ops::scatter_rows_(kept_v, repeated, rows.to(device));
    const Tensor out =
        ops::attention_step(q.to(device), kept_k, kept_v, starts.to(device), lengths.to(device), 150, heads);
    return std::array{out.to(Device{}), kept_k.to(Device{}), kept_v.to(Device{})};
  };
  const auto expected = step(Device{}, false);
  for (const bool index_there : {false, true}) {
    const auto got = step(test_device(), index_there);
    CHECK(same_bits(got[1], expected[1]));
    CHECK(same_bits(got[2], expected[2]));
    CHECK(distance(got[0], expected[0]) < 1e-5);
  }
}
