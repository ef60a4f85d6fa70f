// The primitives of core/ops/ops.h on a CUDA device against the same primitives on the CPU, in f32 and f64, on shapes
// that do not fill the kernels' tiles; those of attention and of the Stiefel manifold have files of their own. Built
// where the CUDA backend is, and run where there is a device, real or emulated.
#include <cmath>
#include <initializer_list>
#include <vector>

#include <doctest/doctest.h>

#include "core/device/device_info.h"
#include "core/ops/ops.h"
#include "core/ops/packed_matrix.h"
#include "tests/core/ops/numbers.h"
#include "tests/cuda/compare.h"
#include "tests/device.h"

namespace ops = csreft::ops;
using csreft::Device;
using csreft::DType;
using csreft::Shape;
using csreft::Tensor;
using csreft::test::compare;
using csreft::test::distance;
using csreft::test::indices;
using csreft::test::normal;
using csreft::test::Place;
using csreft::test::Results;
using csreft::test::same_bits;

namespace {

Tensor probabilities(Shape shape, std::uint64_t number) { return ops::sigmoid(normal(shape, number)); }

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
                   d.dup,
                   ops::silu(x),
                   ops::silu_backward(dy, x),
                   ops::tanh(x),
                   ops::tanh_backward(dy, ops::tanh(x)),
                   ops::gelu(x),
                   ops::gelu_backward(dy, x),
                   ops::sign(x),
                   ops::threshold(x, 0.25)};
  });
}

TEST_CASE("cuda: softmax and the largest elements of rows") {
  for (const auto& shape : {Shape{5, 4}, Shape{3, 300}, Shape{0, 4}}) {
    compare([&](const Place& on) {
      const Tensor x = on(shape, 1), dy = on(shape, 2), y = ops::softmax(x);
      return Results{y, ops::softmax_backward(dy, y), ops::top_k_rows(x, 1), ops::top_k_rows(x, 3)};
    });
  }
  // The first of equal ones.
  compare([](const Place& on) { return Results{ops::top_k_rows(on(Tensor::full({2, 70}, 1.0, DType::f64)), 5)}; });
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
      return Results{ops::sum(x), ops::abs_sum(x), Tensor::full({1}, ops::squared_norm(x), on.dtype, on.device),
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

TEST_CASE("cuda: random numbers are the host's") {
  for (const std::int64_t n : {0, 1, 1001}) {
    compare([n](const Place& on) {
      const csreft::TensorOptions options{on.dtype, on.device};
      const std::uint64_t stream = std::uint64_t{5} << 33U;
      const Tensor x = on({n}, 1);
      return Results{csreft::random_normal({n}, 0.5, 2, 3, stream, options), ops::dropout(x, 0.3, 3, stream),
                     csreft::random_gumbel({n}, 3, stream, options)};
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
