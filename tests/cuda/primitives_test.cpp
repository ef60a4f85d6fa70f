// Every primitive of core/ops.h on a CUDA device against the same primitive on the CPU, in f32 and f64, on shapes that
// do not fill the kernels' tiles. Built where the CUDA backend is, and run where there is a device, real or emulated.
#include <array>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "core/device_info.h"
#include "core/ops.h"
#include "core/packed_matrix.h"
#include "tests/core/numbers.h"
#include "tests/device.h"

namespace ops = csreft::ops;
using csreft::Device;
using csreft::DType;
using csreft::Shape;
using csreft::Tensor;
using csreft::test::distance;
using csreft::test::indices;
using csreft::test::normal;
using csreft::test::same_bits;

namespace {

// Puts the inputs of a case where it is computed.
struct Place {
  DType dtype;
  Device device;

  Tensor operator()(const Tensor& t) const { return t.to(dtype).to(device).clone(); }
  // Standard normal elements.
  Tensor operator()(Shape shape, std::uint64_t number) const { return (*this)(normal(shape, number)); }
};

using Results = std::vector<Tensor>;
using Compute = std::function<Results(const Place&)>;

double largest(const Tensor& t) { return distance(t, Tensor::zeros(t.shape(), DType::f64)); }

// The tolerances are relative to the largest element: sums of some hundred products, in another order.
void compare(const Compute& compute, std::initializer_list<DType> dtypes = {DType::f32, DType::f64}) {
  for (const DType dtype : dtypes) {
    const double tolerance = dtype == DType::f32 ? 1e-5 : 1e-12;
    CAPTURE(csreft::name_of(dtype));
    const Results expected = compute({dtype, Device{}});
    const Results got = compute({dtype, test_device()}), again = compute({dtype, test_device()});
    REQUIRE(expected.size() == got.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      CAPTURE(i);
      REQUIRE(got[i].device() == test_device());
      const Tensor here = got[i].to(Device{});
      CHECK(distance(here, expected[i]) <= tolerance * (1 + largest(expected[i])));
      CHECK(same_bits(here, again[i].to(Device{})));
    }
  }
}

Tensor probabilities(Shape shape, std::uint64_t number) { return ops::sigmoid(normal(shape, number)); }

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

TEST_CASE("cuda: elementwise arithmetic") {
  const Shape shape{37, 41};
  compare([&](const Place& on) {
    const Tensor a = on(shape, 1), b = on(shape, 2), sum = on(shape, 3);
    Results results{ops::add(a, b), ops::sub(a, b), ops::mul(a, b), ops::scale(a, -0.7)};
    ops::add_(sum, a);
    ops::axpy_(sum, 0.3, b);
    const Tensor copied = on(shape, 4);
    ops::copy_(copied, a);
    results.insert(results.end(),
                   {sum, copied, Tensor::full({5}, 1.5, on.dtype, on.device), Tensor::zeros({5}, on.dtype, on.device)});
    return results;
  });
}

TEST_CASE("cuda: activations and their derivatives") {
  const Shape shape{19, 33};
  compare([&](const Place& on) {
    const Tensor x = on(shape, 1), dy = on(shape, 2), p = on(probabilities(shape, 3));
    const Tensor up = on(shape, 4);
    const auto d = ops::silu_mul_backward(dy, x, up);
    return Results{ops::relu(x),
                   ops::relu_backward(dy, ops::relu(x)),
                   ops::sigmoid(x),
                   ops::sigmoid_backward(dy, p),
                   ops::binary_entropy(p),
                   ops::binary_entropy_backward(dy, p),
                   ops::xlogx(p),
                   ops::xlogx_backward(dy, p),
                   ops::silu_mul(x, up),
                   d.dgate,
                   d.dup};
  });
}

TEST_CASE("cuda: softmax and the largest element of rows") {
  for (const auto& shape : {Shape{5, 4}, Shape{3, 300}, Shape{0, 4}}) {
    compare([&](const Place& on) {
      const Tensor x = on(shape, 1), dy = on(shape, 2), y = ops::softmax(x);
      return Results{y, ops::softmax_backward(dy, y), ops::one_hot_rows(x)};
    });
  }
  // The first of equal ones.
  compare([](const Place& on) { return Results{ops::one_hot_rows(on(Tensor::full({2, 70}, 1.0, DType::f64)))}; });
}

TEST_CASE("cuda: rows of a matrix") {
  compare([](const Place& on) {
    const Tensor x = on({23, 35}, 1), row = on({35}, 2);
    const Tensor index = indices({3, 0, 22, 3, 7}), rows = on({5, 35}, 3);
    const Tensor added = on({23, 35}, 4), written = on({23, 35}, 5);
    ops::scatter_add_rows_(added, index, rows);
    ops::scatter_rows_(written, index, rows);
    const Tensor offsets = indices({0, 4, 4, 23}), dmean = on({3, 35}, 6);
    return Results{ops::add_row(x, row),
                   ops::mul_row(x, row),
                   ops::sum_rows(x),
                   ops::gather_rows(x, index),
                   ops::add_rows(x, indices({3, 0, 22, 4, 7}), rows),
                   added,
                   written,
                   ops::segment_mean(x, offsets),
                   ops::segment_mean_backward(dmean, offsets)};
  });
}

TEST_CASE("cuda: sums over all elements") {
  for (const std::int64_t n : {1, 777, 20000}) {
    compare([n](const Place& on) {
      const Tensor x = on({n}, 1);
      const std::vector<Tensor> several{x, {}, on({5, 3}, 2)};
      return Results{ops::sum(x), Tensor::full({1}, ops::squared_norm(x), on.dtype, on.device),
                     Tensor::full({1}, ops::squared_norms(several), on.dtype, on.device)};
    });
  }
}

TEST_CASE("cuda: matrix products") {
  using enum ops::Transpose;
  compare([](const Place& on) {
    Results results;
    for (const auto ta : {no, yes}) {
      for (const auto tb : {no, yes}) {
        const Tensor a = on(ta == no ? Shape{17, 29} : Shape{29, 17}, 1);
        const Tensor b = on(tb == no ? Shape{29, 11} : Shape{11, 29}, 2);
        const Tensor sum = on({17, 11}, 3);
        ops::matmul_add_(sum, a, b, ta, tb);
        results.insert(results.end(), {ops::matmul(a, b, ta, tb), sum});
      }
    }
    results.push_back(ops::matmul(on({3, 0}, 1), on({0, 4}, 2)));
    const csreft::PackedMatrix packed(on({11, 29}, 4));
    results.insert(results.end(), {packed.apply(on({17, 29}, 5)), packed.apply_transposed(on({17, 11}, 6))});
    return results;
  });
}

TEST_CASE("cuda: matrix products with weights in bf16") {
  const Tensor x = normal({17, 29}, 1, DType::f32), weight = normal({11, 29}, 2, DType::f32).to(DType::bf16);
  const Tensor y = normal({17, 11}, 3, DType::f32);
  const auto there = [](const Tensor& t) { return t.to(test_device()); };
  // Products of two bf16 are exact in f32: only the order of sums differs.
  CHECK(distance(ops::matmul_bf16(there(x), there(weight), ops::Transpose::yes).to(Device{}),
                 ops::matmul_bf16(x, weight, ops::Transpose::yes)) < 2e-5);
  CHECK(distance(ops::matmul_bf16(there(y), there(weight)).to(Device{}), ops::matmul_bf16(y, weight)) < 2e-5);
  const csreft::PackedMatrix packed(there(weight.to(DType::f32)), csreft::Packing::bf16);
  CHECK(packed.dtype() == DType::f32);
  CHECK(distance(packed.apply(there(x)).to(Device{}), ops::matmul_bf16(x, weight, ops::Transpose::yes)) < 2e-5);
  CHECK(distance(packed.apply_transposed(there(y)).to(Device{}), ops::matmul_bf16(y, weight)) < 2e-5);
  CHECK(packed.factor_dtype() == DType::bf16);
  CHECK(csreft::test::same_bits(packed.apply(there(x).to(DType::bf16)).to(Device{}),
                                packed.apply(there(x)).to(Device{})));
  const Tensor sum = there(x).clone();
  packed.apply_transposed_add_(sum, there(y));
  CHECK(distance(sum.to(Device{}), ops::add(x, ops::matmul_bf16(y, weight))) < 2e-5);
}

TEST_CASE("cuda: matrix products in TF32") {
  // Tensor cores take rows of whole 32 bytes; others a device may compute in f32.
  const Tensor x = normal({17, 32}, 1, DType::f32), weight = normal({16, 32}, 2, DType::f32);
  const Tensor y = normal({17, 16}, 3, DType::f32);
  const auto there = [](const Tensor& t) { return t.to(test_device()); };
  const csreft::PackedMatrix packed(there(weight), csreft::Packing::tf32);
  const Tensor forward = packed.apply(there(x)).to(Device{}), back = packed.apply_transposed(there(y)).to(Device{});
  const Tensor sum = there(x).clone();
  packed.apply_transposed_add_(sum, there(y));
  // Products of two factors of 11 bits are exact in f32: only the order of sums differs. A device may round a factor
  // otherwise, by one in 2^10; then 32 products of order 1 differ by some 1e-3 each.
  const double tolerance = csreft::is_emulated(test_device()) ? 2e-5 : 2e-2;
  CHECK(distance(forward, ops::matmul_tf32(x, weight, ops::Transpose::yes)) < tolerance);
  CHECK(distance(back, ops::matmul_tf32(y, weight)) < tolerance);
  CHECK(distance(sum.to(Device{}), ops::add(x, back)) < 2e-5);
  CHECK(distance(forward, ops::matmul(x, weight, ops::Transpose::no, ops::Transpose::yes)) > 1e-4);
  CHECK_THROWS_WITH_AS(csreft::PackedMatrix(there(weight).to(DType::f64), csreft::Packing::tf32),
                       doctest::Contains("expected f32"), csreft::Error);
}

TEST_CASE("cuda: root mean square normalisation") {
  compare([](const Place& on) {
    const Tensor x = on({13, 70}, 1), weight = on({70}, 2), dy = on({13, 70}, 3);
    const auto norm = ops::rms_norm(x, weight, 1e-5);
    const Tensor update = on({13, 70}, 4);
    const auto added = ops::add_rms_norm(x, update, weight, 1e-5);
    return Results{norm.y,
                   norm.rstd,
                   ops::rms_norm_backward(dy, x, weight, norm.rstd),
                   ops::rms_norm_backward(dy, x, weight, norm.rstd, update),
                   ops::rms_norm_backward_weight(dy, x, norm.rstd),
                   added.sum,
                   added.y,
                   added.rstd};
  });
}

TEST_CASE("cuda: rotary position embedding") {
  const Tensor frequencies = csreft::test::values({1.0, 0.1, 0.01}, {3});
  compare([&](const Place& on) {
    const Tensor x = on({4, 12}, 1), positions = indices({0, 1, 2000, 3});
    return Results{ops::rope(x, positions, frequencies), ops::rope(x, positions, frequencies, true)};
  });
}

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

TEST_CASE("cuda: indices on the device") {
  compare([](const Place& on) {
    const Tensor x = on({23, 12}, 1), written = on({23, 12}, 5), rows = on({4, 12}, 3);
    const Tensor index = indices({3, 0, 22, 7}).to(on.device),
                 frequencies = csreft::test::values({1.0, 0.1, 0.01}, {3});
    ops::scatter_rows_(written, index, rows);
    return Results{ops::gather_rows(x, index), written, ops::rope(rows, index, frequencies)};
  });
  const Tensor index = indices({1, 2}).to(test_device());
  ops::copy_(index, indices({4, 5}));
  CHECK(same_bits(index.to(Device{}), indices({4, 5})));
  CHECK_THROWS_WITH_AS(ops::gather_rows(normal({9, 2}, 1), index), doctest::Contains("expected cpu"), csreft::Error);
  CHECK_THROWS_AS(ops::copy_(index, normal({2}, 1)), csreft::Error);
}

TEST_CASE("cuda: cross-entropy") {
  for (const std::int64_t vocabulary : {7, 1500}) {
    compare([vocabulary](const Place& on) {
      const Tensor logits = on({4, vocabulary}, 1), gradient = on({4, vocabulary}, 1);
      const Tensor targets = indices({0, 6, 3, 3});
      const Tensor loss = ops::cross_entropy_with_gradient_(gradient, targets);
      return Results{ops::cross_entropy(logits, targets), loss, gradient};
    });
  }
}

TEST_CASE("cuda: gates of low-rank edits") {
  const Tensor example = indices({2, 0, 0, 3, 2, 0, 3, 3, 0});  // example 1 has no row
  compare([&](const Place& on) {
    const Tensor u = on({9, 36}, 1), c = on({9, 36}, 2), alpha = on({4, 3}, 3), b = on({36}, 4);
    const Tensor gated = ops::low_rank_gate_(u, b, alpha, example);
    const auto d = ops::low_rank_gate_backward(c, u, alpha, example);
    const Tensor without_b = on({9, 36}, 5), without_alpha = on({9, 36}, 6);
    return Results{gated,
                   u,
                   d.gated_c,
                   d.db,
                   d.dalpha,
                   ops::low_rank_gate_(without_b, {}, alpha, example),
                   ops::low_rank_gate_(without_alpha, b, {}, {})};
  });
  compare([](const Place& on) {  // no rows
    const Tensor none = on({0, 4}, 1), alpha = on({2, 2}, 2);
    const auto d = ops::low_rank_gate_backward(none, none, alpha, indices({}));
    return Results{ops::low_rank_gate_(none, on({4}, 3), alpha, indices({})), d.gated_c, d.db, d.dalpha};
  });
}

TEST_CASE("cuda: optimizer steps") {
  compare([](const Place& on) {
    const Tensor g = on({300}, 1), m = on({300}, 2);
    const Tensor w2 = on({300}, 4), m2 = on({300}, 2);
    ops::momentum_sgd_(w2, g, m2, {0.1, 0.9, 0.01});
    return Results{w2, m2};
  });
}

// 150 tensors: more than one launch holds, of sizes from none to several blocks.
TEST_CASE("cuda: several tensors at once") {
  compare([](const Place& on) {
    std::vector<ops::AdamWUpdate> updates;
    std::vector<Tensor> several{Tensor{}}, narrow, wide;
    Results results;
    for (std::uint64_t i = 0; i < 150; ++i) {
      const Shape shape{static_cast<std::int64_t>(i == 7 ? 2500 : i % 5), 3};
      const Tensor w = on(shape, i), g = on(shape, i + 1), m = on(shape, i + 2), v = on(probabilities(shape, i + 3));
      updates.push_back({w, g, m, v, {0.999, 0.9, 0.99, 0.01 + 0.001 * static_cast<double>(i), 1.7, 1e-8}});
      several.push_back(on(shape, i + 4));
      narrow.push_back(Tensor::zeros(shape, DType::f32, on.device));
      wide.push_back(Tensor::zeros(shape, DType::f64, on.device));
      results.insert(results.end(), {w, m, v, narrow.back(), wide.back()});
    }
    ops::adamw_(updates);
    const std::vector<Tensor> given(several.begin() + 1, several.end()), scaled = ops::scale_all(several, 0.3);
    ops::copy_all_(narrow, given);
    ops::copy_all_(wide, given);
    CHECK(!scaled.front().defined());
    results.insert(results.end(), scaled.begin() + 1, scaled.end());
    results.push_back(Tensor::full({1}, ops::squared_norms(several), on.dtype, on.device));
    return results;
  });
}

namespace {

// A stack of orthonormal blocks.
Tensor orthonormal(Shape shape, std::int64_t block_rows, std::uint64_t number) {
  return ops::stiefel_retract(normal(shape, number), Tensor::zeros(shape, DType::f64), block_rows,
                              ops::StiefelRetraction::qr);
}

constexpr std::array metrics{ops::StiefelMetric::euclidean, ops::StiefelMetric::canonical};
constexpr std::array retractions{ops::StiefelRetraction::qr, ops::StiefelRetraction::polar,
                                 ops::StiefelRetraction::cayley};

struct StackSize {
  std::int64_t rows, d, block_rows;
};

}  // namespace

// One row, square matrices, more columns than threads, more rows than warps; the last one's r x r matrices do not fit
// into shared memory.
TEST_CASE("cuda: gradients and retractions on the Stiefel manifold") {
  for (const auto& [rows, d, block_rows] : std::initializer_list<StackSize>{
           {2, 5, 1}, {1, 1, 1}, {5, 5, 5}, {6, 300, 2}, {16, 40, 16}, {34, 70, 34}, {0, 4, 2}}) {
    CAPTURE(block_rows);
    const Tensor point = orthonormal({rows, d}, block_rows, 1);
    compare([&, r = block_rows](const Place& on) {
      const Tensor R = on(point), G = on(point.shape(), 2);
      Results results;
      for (const auto metric : metrics) results.push_back(ops::stiefel_gradient(R, G, r, metric));
      for (const auto retraction : retractions) {
        results.push_back(ops::stiefel_retract(R, ops::scale(results[0], 0.3), r, retraction));
      }
      return results;
    });
  }
}

TEST_CASE("cuda: retractions stay on the manifold after steps that leave no digit of the start") {
  for (const auto& [rows, d, block_rows] : std::initializer_list<StackSize>{{1, 5, 1}, {3, 7, 3}, {5, 5, 5}}) {
    const Tensor R = orthonormal({rows, d}, block_rows, 1);
    Tensor one_direction = Tensor::zeros({rows, d}, DType::f64);
    for (std::int64_t i = 0; i < rows; ++i) one_direction.data<double>()[i * d] = 1e20;
    for (const Tensor& step : {ops::scale(normal({rows, d}, 2), 1e20), one_direction}) {
      const Tensor xi = ops::stiefel_gradient(R, step, block_rows, ops::StiefelMetric::euclidean);
      for (const auto retraction : retractions) {
        CAPTURE(static_cast<int>(retraction));
        const Tensor Y = ops::stiefel_retract(R.to(test_device()), xi.to(test_device()), block_rows, retraction);
        const Tensor gram = ops::matmul(Y, Y, ops::Transpose::no, ops::Transpose::yes).to(Device{});
        Tensor identity = Tensor::zeros({rows, rows}, DType::f64);
        for (std::int64_t i = 0; i < rows; ++i) identity.data<double>()[i * rows + i] = 1;
        CHECK(distance(gram, identity) < 1e-13);  // f64, sums of a few terms of order 1
      }
    }
  }
}

// 60 stacks: more than one launch holds.
TEST_CASE("cuda: optimizer steps on the Stiefel manifold, of several stacks at once") {
  compare([](const Place& on) {
    std::vector<ops::StiefelUpdate> updates;
    Results results;
    for (std::uint64_t i = 0; i < 60; ++i) {
      const std::int64_t block_rows = 1 + static_cast<std::int64_t>(i) % 3, blocks = static_cast<std::int64_t>(i) % 4;
      const Shape shape{blocks * block_rows, 9};
      const Tensor R = on(orthonormal(shape, block_rows, i)), m = on(shape, i + 1);
      const Tensor v = i % 5 == 0 ? Tensor{} : Tensor::full({blocks}, 0.5, DType::f64, on.device);
      updates.push_back(
          {R,
           on(shape, i + 2),
           m,
           v,
           block_rows,
           {metrics[i % 2], retractions[i % 3], 0.9, 0.1, 0.99, 0.01 * static_cast<double>(i), 1.3, 1e-8}});
      results.insert(results.end(), {R, m});
      if (v.defined()) results.push_back(v);
    }
    ops::stiefel_step_(updates);
    return results;
  });
}

TEST_CASE("cuda: random numbers are the host's") {
  for (const std::int64_t n : {0, 1, 1001}) {
    compare([n](const Place& on) {
      const csreft::TensorOptions options{on.dtype, on.device};
      const std::uint64_t stream = std::uint64_t{5} << 33U;
      const Tensor x = on({n}, 1);
      return Results{csreft::random_normal({n}, 0.5, 2, 3, stream, options), ops::dropout(x, 0.3, 3, stream)};
    });
    for (const DType dtype : {DType::f32, DType::f64}) {
      const Tensor here = csreft::random_uniform({n}, -1.0 / 24, 1.0 / 24, ~0ULL, 9, dtype);
      const Tensor there = csreft::random_uniform({n}, -1.0 / 24, 1.0 / 24, ~0ULL, 9, {dtype, test_device()});
      CHECK(same_bits(there.to(Device{}), here));
    }
  }
}

// A vocabulary that no block's threads divide; many logits are equal.
TEST_CASE("cuda: the tokens drawn are the host's") {
  constexpr std::int64_t n = 3, vocabulary = 5003;
  const auto tokens_on = [](const Device& device, const ops::Sampling& sampling, const Tensor& logits) {
    Tensor tokens = Tensor::zeros({n}, DType::i32, device), counts = indices({0, 3, 4, 0, 1, 77}).view({n, 2});
    counts = counts.to(device);
    std::vector<std::int32_t> all;
    for (int i = 0; i < 5; ++i) {
      ops::sample_(logits.to(device), sampling, 8, counts, tokens);
      const Tensor here = tokens.to(Device{}), drawn = counts.to(Device{});
      for (const std::int32_t token : here.span<std::int32_t>()) all.push_back(token);
      for (const std::int32_t count : drawn.span<std::int32_t>()) all.push_back(count);
    }
    return all;
  };
  for (const DType dtype : {DType::f32, DType::f64}) {
    Tensor logits = ops::scale(normal({n, vocabulary}, 1), 3.0);
    for (double& x : logits.span<double>()) x = std::round(x * 20) / 20;
    logits = logits.to(dtype);
    for (const ops::Sampling& sampling : {ops::Sampling{},
                                          {.temperature = 1, .seed = 1},
                                          {.temperature = 1.7, .top_k = 40},
                                          {.temperature = 0.8, .top_p = 0.9, .seed = 5},
                                          {.temperature = 3, .top_k = 900, .top_p = 0.95, .seed = ~0ULL}}) {
      CAPTURE(sampling.temperature);
      CHECK(tokens_on(test_device(), sampling, logits) == tokens_on(Device{}, sampling, logits));
    }
  }
}

TEST_CASE("cuda: tensors keep their values on their way and in other types") {
  const Tensor x = normal({31, 5}, 1, DType::f32);
  const Tensor there = x.to(test_device());
  CHECK(same_bits(there.to(Device{}), x));
  CHECK(same_bits(there.slice(3, 9).clone().to(Device{}), x.slice(3, 9).clone()));
  for (const DType type : {DType::bf16, DType::f64}) {
    CHECK(same_bits(there.to(type).to(Device{}), x.to(type)));
    CHECK(same_bits(there.to(type).to(DType::f32).to(Device{}), x.to(type).to(DType::f32)));
  }
  CHECK(Tensor::full({1}, 3, DType::i32, test_device()).to(Device{}).span<std::int32_t>()[0] == 3);
  CHECK(ops::sum(there).item() == doctest::Approx(ops::sum(x).item()));
  CHECK_THROWS_AS(there.data<float>(), csreft::Error);
  CHECK_THROWS_AS(ops::add(there, x), csreft::Error);
}
