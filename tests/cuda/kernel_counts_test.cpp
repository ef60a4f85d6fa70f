// How many kernels and matrix products an edit starts on the emulated device: each costs some microseconds
// on a real one, however little it computes.
#include <cstddef>
#include <functional>
#include <vector>

#include <doctest/doctest.h>

#include "autograd/functions/functions.h"
#include "tests/core/ops/numbers.h"
#include "tests/cuda_emulation/control.h"
#include "tests/device.h"

using csreft::DType;
using csreft::Shape;
using csreft::Tensor;
using csreft::Variable;
using csreft::test::indices;

namespace {

Tensor on_device(Shape shape, std::uint64_t number) {
  return csreft::test::normal(shape, number, DType::f32).to(test_device());
}
Variable parameter(Shape shape, std::uint64_t number) { return Variable::parameter(on_device(shape, number)); }

std::size_t kernels_of(const std::function<void()>& work) {
  const std::size_t before = csreft::emulation::started_kernels();
  work();
  return csreft::emulation::started_kernels() - before;
}

}  // namespace

TEST_CASE("cuda: a gated edit of any number of subspaces starts 5 kernels, and 7 in the backward") {
  const csreft::EditRows rows{indices({0, 2, 3, 6}), indices({0, 0, 1, 2})};
  const Tensor dy = on_device({7, 16}, 9);
  for (const std::int64_t subspaces : {1, 2, 4}) {
    const Variable hidden = parameter({7, 16}, 1), A = parameter({8, 16}, 2), b = parameter({8}, 3);
    const Variable P = parameter({8, 16}, 4), alpha = parameter({3, subspaces}, 5);
    Variable edited;
    // The rows; A h; the offsets and gates; P^T of that; the sum.
    CHECK(kernels_of([&] { edited = csreft::low_rank_update(hidden, rows, A, b, P, alpha); }) == 5);
    // The rows of dy; P dy; the gates, db and dalpha; A^T of that; the sum; dA; dP.
    CHECK(kernels_of([&] { csreft::backward(edited, dy); }) == 7);
  }
}

TEST_CASE("cuda: an x of three products in bf16 is rounded once, and its gradients are summed by the products") {
  const auto matrix = [](std::int64_t out, std::uint64_t number) {
    return csreft::PackedMatrix(on_device({out, 16}, number), csreft::Packing::bf16);
  };
  const csreft::PackedMatrix q = matrix(16, 1), k = matrix(8, 2), v = matrix(8, 3);
  const Variable x = parameter({7, 16}, 4);
  std::vector<Variable> ys;
  CHECK(kernels_of([&] { ys = csreft::linears(x, {q, k, v}); }) == 4);
  REQUIRE(ys.size() == 3);
  // Of one, its dy rounded and the product.
  for (const Variable& y : ys) {
    const Tensor dy = on_device(y.shape(), 5);
    CHECK(kernels_of([&] { csreft::backward(y, dy); }) == 2);
  }
}

TEST_CASE("cuda: attention's backward clears the gradients of keys only where some belong to no sequence") {
  const csreft::ops::AttentionHeads heads{2, 1, 4};
  const Tensor q = on_device({5, 8}, 1), k = on_device({7, 4}, 2), v = on_device({7, 4}, 3),
               dout = on_device({5, 8}, 4);
  const auto kernels = [&](std::int32_t second_length) {
    const csreft::ops::AttentionLayout layout{indices({0, 2, 5}), indices({0, 3}), indices({3, second_length})};
    const auto forward = csreft::ops::attention(q, k, v, layout, heads);
    return kernels_of([&] { csreft::ops::attention_backward(dout, q, k, v, forward, layout, heads); });
  };
  // delta; dk and dv; dq.
  CHECK(kernels(4) == 3);
  CHECK(kernels(3) == 5);
}
