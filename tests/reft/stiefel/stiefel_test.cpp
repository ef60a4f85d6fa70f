#include "reft/stiefel/stiefel.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "core/base/error.h"

using namespace csreft;

TEST_CASE("Random points are orthonormal by block, reproducible, and differ by seed and stream") {
  const Tensor R = random_stiefel(8, 576, 4, 7, 3);
  CHECK(R.dtype() == DType::f32);
  CHECK(orthonormality_error(R, 4) < 1e-6);  // f32 rounding of 576 elements of order 1/24
  CHECK(orthonormality_error(R, 8) > 1e-3);
  CHECK(orthonormality_error(random_stiefel(8, 576, 8, 7, 3), 8) < 1e-6);
  const auto same = [&](const Tensor& other) { return std::ranges::equal(R.span<float>(), other.span<float>()); };
  CHECK(same(random_stiefel(8, 576, 4, 7, 3)));
  CHECK_FALSE(same(random_stiefel(8, 576, 4, 8, 3)));
  CHECK_FALSE(same(random_stiefel(8, 576, 4, 7, 4)));
}

TEST_CASE("Impossible stacks are refused") {
  CHECK_THROWS_AS(random_stiefel(6, 4, 6, 1, 0), Error);
  CHECK_THROWS_AS(random_stiefel(6, 16, 4, 1, 0), Error);
  CHECK_THROWS_AS(random_stiefel(6, 16, 0, 1, 0), Error);
  CHECK_THROWS_AS(orthonormality_error(Tensor::zeros({2, 4}, DType::i32), 2), Error);
}

TEST_CASE("A matrix that is not finite has no orthonormality error that passes for small") {
  const Tensor R = random_stiefel(2, 4, 2, 1, 0, DType::f64);
  R.span<double>()[5] = std::nan("");
  CHECK_FALSE(orthonormality_error(R, 2) < 1.0);
}
