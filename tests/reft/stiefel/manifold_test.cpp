// The primitives of the Stiefel manifold on the test device against their definitions, for every metric and retraction.
#include "reft/stiefel/manifold.h"

#include <cmath>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "core/tensor/random.h"
#include "reft/stiefel/stiefel.h"
#include "tests/device.h"
#include "tests/reft/stiefel/reference.h"

using namespace csreft;
using test::reference_gradient;
using test::reference_inner;
using test::reference_retraction;

namespace {

struct Size {
  std::int64_t r, d;
};
// One row, more rows, a square matrix, one element.
constexpr Size sizes[] = {{1, 5}, {3, 7}, {4, 64}, {5, 5}, {1, 1}};

constexpr double rounding = 1e-13;  // f64, sums of at most 64 terms of order 1

Tensor point(Size size) { return random_stiefel(size.r, size.d, size.r, 1, 0, DType::f64); }
Tensor noise(Size size, std::uint64_t stream) {
  return random_normal({size.r, size.d}, 0.0, 1.0, 2, stream, DType::f64);
}
double difference(const Matrix& a, const Matrix& b) { return (a - b).cwiseAbs().maxCoeff(); }

Tensor gradient(const Metric& metric, const Tensor& R, const Tensor& G) {
  return ops::stiefel_gradient(on_test_device(R), on_test_device(G), R.rows(), metric.metric).to(Device{});
}
Tensor retract(const Retraction& retraction, const Tensor& R, const Tensor& xi) {
  return ops::stiefel_retract(on_test_device(R), on_test_device(xi), R.rows(), retraction.retraction).to(Device{});
}
Tensor tangent(const Tensor& R, std::uint64_t stream) {
  return tensor(reference_gradient("euclidean", matrix(R), matrix(noise({R.rows(), R.cols()}, stream))));
}

}  // namespace

TEST_CASE("Gradients are tangent and represent the derivative under their own metric") {
  for (const Metric& metric : metrics()) {
    CAPTURE(metric.name);
    for (const Size size : sizes) {
      const Tensor R = point(size), G = noise(size, 1), xi = tangent(R, 2), x = gradient(metric, R, G);
      CHECK(difference(matrix(x), reference_gradient(metric.name, matrix(R), matrix(G))) < rounding);
      const Matrix violation = matrix(R) * matrix(x).transpose() + matrix(x) * matrix(R).transpose();
      CHECK(violation.cwiseAbs().maxCoeff() < rounding);
      const double derivative = matrix(G).cwiseProduct(matrix(xi)).sum();
      CHECK(reference_inner(metric.name, matrix(R), matrix(x), matrix(xi)) ==
            doctest::Approx(derivative).epsilon(1e-10));
    }
  }
}

TEST_CASE("The Euclidean gradient is the orthogonal projection: what it has made tangent it leaves alone") {
  for (const Size size : sizes) {
    const Tensor R = point(size), U = noise(size, 1), xi = gradient(metrics().front(), R, U);
    CHECK(difference(matrix(gradient(metrics().front(), R, xi)), matrix(xi)) < rounding);
    CHECK(std::abs((matrix(U) - matrix(xi)).cwiseProduct(matrix(tangent(R, 2))).sum()) < 10 * rounding);
  }
}

TEST_CASE("Every retraction equals its definition, stays on the manifold and agrees with R + t xi to first order") {
  for (const Retraction& retraction : retractions()) {
    CAPTURE(retraction.name);
    for (const Size size : sizes) {
      const Tensor R = point(size), xi = tangent(R, 1);
      const auto deviation = [&](double t) {
        const Tensor next = retract(retraction, R, tensor(t * matrix(xi)));
        CHECK(orthonormality_error(next, size.r) < rounding);
        return difference(matrix(next), matrix(R) + t * matrix(xi));
      };
      CHECK(difference(matrix(retract(retraction, R, xi)),
                       reference_retraction(retraction.name, matrix(R), matrix(xi))) < rounding);
      CHECK(deviation(0.0) < rounding);
      // The deviation is a t^2 + O(t^3): ten times smaller steps, about a hundred times smaller deviations.
      CHECK(deviation(1e-4) <= 0.015 * deviation(1e-3) + rounding);
      deviation(1.0);
      deviation(1e6);
    }
  }
}

TEST_CASE("Every retraction survives a step of length 1e20 and one that makes rows dependent") {
  for (const Retraction& retraction : retractions()) {
    CAPTURE(retraction.name);
    for (const Size size : sizes) {
      const Tensor R = point(size);
      const Tensor far = tensor(1e20 * matrix(tangent(R, 1)));
      CHECK(orthonormality_error(retract(retraction, R, far), size.r) < rounding);
      Matrix one_direction = Matrix::Zero(size.r, size.d);
      one_direction.col(0).setConstant(1e20);
      const Tensor projected = tensor(reference_gradient("euclidean", matrix(R), one_direction));
      CHECK(orthonormality_error(retract(retraction, R, projected), size.r) < rounding);
    }
  }
}

TEST_CASE("A stack gives each block what the block alone gives, in both types") {
  const Tensor R = random_stiefel(6, 6, 2, 1, 0, DType::f64), G = noise({6, 6}, 1);
  const auto euclidean = ops::StiefelMetric::euclidean;
  const Tensor all = ops::stiefel_gradient(R, G, 2, euclidean);
  for (std::int64_t row = 0; row < 6; row += 2) {
    const Tensor alone = ops::stiefel_gradient(R.slice(row, row + 2), G.slice(row, row + 2), 2, euclidean);
    CHECK(difference(matrix(all.slice(row, row + 2)), matrix(alone)) == 0.0);
  }
  const Tensor single = ops::stiefel_gradient(R.to(DType::f32), G.to(DType::f32), 2, euclidean);
  CHECK(single.dtype() == DType::f32);
  CHECK(difference(matrix(single.to(DType::f64)), matrix(all)) < 1e-5);  // inputs of order 1 rounded to f32
}

TEST_CASE("Unknown metrics and retractions are refused with the names there are") {
  CHECK_THROWS_WITH_AS(
      find_manifold("euclidean", "qf"),
      doctest::Contains("unknown retraction 'qf' (did you mean qr?): expected one of qr, polar, cayley"), Error);
  CHECK_THROWS_WITH_AS(find_manifold("Euclidean", "qr"), doctest::Contains("expected one of euclidean, canonical"),
                       Error);
}
