#include "core/ops/packed_matrix.h"

#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/threads.h"
#include "core/cpu/allocator.h"
#include "core/cpu/packed_matrix.h"
#include "tests/core/ops/numbers.h"

using csreft::DType;
using csreft::Error;
using csreft::PackedMatrix;
using csreft::Packing;
using csreft::Tensor;
using csreft::ops::Transpose;
using csreft::test::distance;
using csreft::test::normal;
using csreft::test::same_bits;

namespace {

constexpr Packing every_packing[] = {Packing::automatic, Packing::rows, Packing::blocks};

}  // namespace

TEST_CASE("a packed matrix multiplies as the matrix does, whatever its layout") {
  constexpr std::int64_t shapes[][2] = {{1, 1}, {3, 5}, {64, 64}, {100, 33}, {192, 576}, {130, 257}, {17, 0}, {0, 9}};
  for (const DType dtype : {DType::f32, DType::f64}) {
    // Sums of up to 576 products of order 1: about 24 times the rounding of one, and less than 100 of it.
    const double tolerance = dtype == DType::f32 ? 1e-5 : 1e-12;
    for (const Packing packing : every_packing) {
      for (const auto& [out, in] : shapes) {
        const Tensor w = normal({out, in}, 1);
        const PackedMatrix packed(w.to(dtype), packing);
        CHECK(packed.out_features() == out);
        CHECK(packed.in_features() == in);
        CHECK(packed.factor_dtype() == dtype);
        for (const std::int64_t n : {0, 1, 2, 3, 4, 5, 16, 67}) {
          CAPTURE(out);
          CAPTURE(in);
          CAPTURE(n);
          const Tensor x = normal({n, in}, 2), y = normal({n, out}, 3);
          const double scale = std::sqrt(static_cast<double>(std::max<std::int64_t>({1, in, out})));
          CHECK(distance(packed.apply(x.to(dtype)), csreft::ops::matmul(x, w, Transpose::no, Transpose::yes)) <
                tolerance * scale);
          CHECK(distance(packed.apply_transposed(y.to(dtype)), csreft::ops::matmul(y, w)) < tolerance * scale);
          const Tensor sum = x.to(dtype).clone();
          packed.apply_transposed_add_(sum, y.to(dtype));
          CHECK(distance(sum, csreft::ops::add(x, csreft::ops::matmul(y, w))) < tolerance * scale);
        }
      }
    }
  }
}

TEST_CASE("a matrix in bf16 multiplies factors that are rounded to bf16, and sums in f32") {
  const Tensor w = normal({96, 160}, 1, DType::f32);
  const auto rounded = [](const Tensor& t) { return t.to(DType::bf16).to(DType::f64); };
  if (!csreft::cpu::has_bf16_products()) {  // then the matrix alone is rounded
    const PackedMatrix packed(w, Packing::bf16);
    const Tensor x = normal({20, 160}, 2), y = normal({20, 96}, 3);
    CHECK(distance(packed.apply(x.to(DType::f32)), csreft::ops::matmul(x, rounded(w), Transpose::no, Transpose::yes)) <
          1e-4);
    CHECK(distance(packed.apply_transposed(y.to(DType::f32)), csreft::ops::matmul(y, rounded(w))) < 1e-4);
    return;
  }
  const PackedMatrix packed(w, Packing::bf16);
  CHECK(packed.dtype() == DType::f32);
  for (const std::int64_t n : {0, 1, 16, 17, 63, 64, 65, 200}) {
    CAPTURE(n);
    const Tensor x = normal({n, 160}, 2, DType::f32), y = normal({n, 96}, 3, DType::f32);
    CHECK(packed.apply(x).shape() == csreft::Shape{n, 96});
    CHECK(distance(packed.apply(x), csreft::ops::matmul(rounded(x), rounded(w), Transpose::no, Transpose::yes)) < 1e-4);
    CHECK(distance(packed.apply_transposed(y), csreft::ops::matmul(rounded(y), rounded(w))) < 1e-4);
    const Tensor sum = x.clone();
    packed.apply_transposed_add_(sum, y);
    CHECK(distance(sum, csreft::ops::add(x, packed.apply_transposed(y))) == 0);
  }
  CHECK(distance(packed.apply(normal({8, 160}, 2, DType::f32)),
                 csreft::ops::matmul(normal({8, 160}, 2), normal({96, 160}, 1), Transpose::no, Transpose::yes)) > 1e-3);
}

TEST_CASE("a matrix for products in TF32 is refused on the processor") {
  CHECK_THROWS_WITH_AS(PackedMatrix(normal({4, 6}, 1, DType::f32), Packing::tf32), doctest::Contains("has no TF32"),
                       Error);
}

TEST_CASE("a matrix in bf16 takes half the memory") {
  csreft::release_kept_host_memory();  // a kept block may be larger than what is asked for
  const auto before = csreft::host_memory().used;
  Tensor w = normal({256, 512}, 1, DType::f32);
  const auto one = csreft::host_memory().used - before;
  const PackedMatrix packed(w, Packing::bf16);
  w = Tensor();
  static_cast<void>(packed.apply(normal({8, 512}, 2, DType::f32)));
  CHECK(csreft::host_memory().used - before == one / 2);
}

TEST_CASE("rows are used in place; blocks replace them") {
  const auto before = csreft::host_memory().used;
  Tensor w = normal({256, 512}, 1, DType::f32);
  const auto one = csreft::host_memory().used - before;
  PackedMatrix rows(w, Packing::rows);
  static_cast<void>(rows.apply(normal({8, 512}, 2, DType::f32)));
  static_cast<void>(rows.apply_transposed(normal({8, 256}, 2, DType::f32)));
  CHECK(csreft::host_memory().used - before == one);
  rows = PackedMatrix();
  CHECK_FALSE(rows.defined());

  const PackedMatrix blocks(w, Packing::blocks);
  w = Tensor();
  static_cast<void>(blocks.apply_transposed(normal({8, 256}, 2, DType::f32)));
  static_cast<void>(blocks.apply(normal({8, 512}, 2, DType::f32)));
  CHECK(csreft::host_memory().used - before == one);
}

TEST_CASE("products repeat to the bit, and do not depend on the number of threads beyond rounding") {
  const int before = csreft::threads();
  const Tensor w = normal({576, 192}, 1, DType::f32), x = normal({70, 192}, 2, DType::f32);
  for (const Packing packing : every_packing) {
    const PackedMatrix packed(w, packing);
    csreft::set_threads(1);
    const Tensor one = packed.apply(x);
    CHECK(same_bits(one, packed.apply(x)));
    csreft::set_threads(2);
    const Tensor two = packed.apply(x);
    CHECK(same_bits(two, packed.apply(x)));
    csreft::set_threads(before);
    CHECK(distance(one, two) < 1e-4);
  }
}

TEST_CASE("several threads share a packed matrix, with more row counts than it remembers") {
  const Tensor w = normal({48, 64}, 1, DType::f32), x = normal({100, 64}, 2, DType::f32);
  for (const Packing packing : every_packing) {
    const PackedMatrix packed(w, packing);
    const Tensor expected = PackedMatrix(w, Packing::rows).apply(x);
    std::vector<double> worst(3);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < worst.size(); ++t) {
      threads.emplace_back([&, t] {
        for (std::int64_t n = 1; n <= 100; ++n) {
          worst[t] = std::max(worst[t], distance(packed.apply(x.slice(0, n)), expected.slice(0, n)));
        }
      });
    }
    for (auto& thread : threads) thread.join();
    for (const double w_t : worst) CHECK(w_t < 1e-4);
  }
}

TEST_CASE("a packed matrix refuses what does not fit") {
  const PackedMatrix packed(normal({4, 6}, 1, DType::f32));
  CHECK_THROWS_AS(packed.apply(Tensor::zeros({2, 4})), Error);
  CHECK_THROWS_AS(packed.apply_transposed(Tensor::zeros({2, 6})), Error);
  CHECK_THROWS_AS(packed.apply(Tensor::zeros({6})), Error);
  CHECK_THROWS_AS(packed.apply(Tensor::zeros({2, 6}, DType::f64)), Error);
  CHECK_THROWS_AS(packed.apply(Tensor()), Error);
  CHECK_THROWS_AS(packed.apply_transposed_add_(Tensor::zeros({2, 4}), Tensor::zeros({2, 4})), Error);
  CHECK_THROWS_AS(packed.apply_transposed_add_(Tensor::zeros({2, 6}, DType::f64), Tensor::zeros({2, 4})), Error);
  CHECK_THROWS_AS(packed.apply_transposed_add_(Tensor::zeros({2, 6}), Tensor::zeros({2, 6})), Error);
  CHECK_THROWS_AS(PackedMatrix(Tensor::zeros({4})), Error);
  CHECK_THROWS_AS(PackedMatrix(Tensor::zeros({4, 4}, DType::bf16)), Error);
  CHECK_THROWS_AS(PackedMatrix(Tensor::zeros({4, 4}, DType::f64), Packing::bf16), Error);
}
