#include "reft/stiefel/stiefel.h"

#include <Eigen/LU>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "core/tensor/random.h"
#include "reft/matrix_view.h"

using namespace csreft;

namespace {

struct Size {
  std::int64_t r, d;
};
// One row, more rows, a square matrix, one element.
constexpr Size sizes[] = {{1, 5}, {3, 7}, {4, 64}, {5, 5}, {1, 1}};

constexpr double rounding = 1e-13;  // f64, sums of at most 64 terms of order 1

Tensor point(Size size, std::uint64_t stream = 0) {
  return random_stiefel(size.r, size.d, size.r, 1, stream, DType::f64);
}
Tensor noise(Size size, std::uint64_t stream) {
  return random_normal({size.r, size.d}, 0.0, 1.0, 2, stream, DType::f64);
}
double difference(const Matrix& a, const Matrix& b) { return (a - b).cwiseAbs().maxCoeff(); }
Tensor tangent(const Tensor& R, std::uint64_t stream) {
  return stiefel().project(R, noise({R.rows(), R.cols()}, stream));
}

}  // namespace

TEST_CASE("The projection is tangent, idempotent and orthogonal") {
  for (const Size size : sizes) {
    const Tensor R = point(size);
    const Tensor U = noise(size, 1);
    const Tensor xi = stiefel().project(R, U);
    const Matrix violation = matrix(R) * matrix(xi).transpose() + matrix(xi) * matrix(R).transpose();
    CHECK(violation.cwiseAbs().maxCoeff() < rounding);
    CHECK(difference(matrix(stiefel().project(R, xi)), matrix(xi)) < rounding);
    const Tensor removed = tensor(matrix(U) - matrix(xi));
    CHECK(std::abs(stiefel().inner(R, removed, tangent(R, 2))) < 10 * rounding);
  }
}

TEST_CASE("Both gradients represent the derivative under their own metric") {
  for (const Size size : sizes) {
    const Tensor R = point(size);
    const Tensor G = noise(size, 1);
    const Tensor xi = tangent(R, 2);
    const double derivative = matrix(G).cwiseProduct(matrix(xi)).sum();
    for (const StiefelMetric metric : {StiefelMetric::euclidean, StiefelMetric::canonical}) {
      const Manifold manifold = stiefel(metric);
      const Tensor gradient = manifold.gradient(R, G);
      CHECK(manifold.inner(R, gradient, xi) == doctest::Approx(derivative).epsilon(1e-10));
      CHECK(difference(matrix(manifold.project(R, gradient)), matrix(gradient)) < rounding);
    }
    const Matrix canonical = matrix(G) - matrix(R) * matrix(G).transpose() * matrix(R);
    CHECK(difference(matrix(stiefel(StiefelMetric::canonical).gradient(R, G)), canonical) < rounding);
  }
}

TEST_CASE("Every retraction returns to the manifold and agrees with R + t xi to first order") {
  for (const Retraction* retraction : retractions()) {
    CAPTURE(retraction->name);
    for (const Size size : sizes) {
      const Tensor R = point(size);
      const Tensor xi = tangent(R, 1);
      const auto deviation = [&](double t) {
        const Tensor next = retraction->apply(R, tensor(t * matrix(xi)));
        CHECK(orthonormality_error(next, size.r) < rounding);
        return difference(matrix(next), matrix(R) + t * matrix(xi));
      };
      CHECK(deviation(0.0) < rounding);
      // The deviation is a t^2 + O(t^3): ten times smaller steps, about a hundred times smaller deviations.
      CHECK(deviation(1e-4) <= 0.015 * deviation(1e-3) + rounding);
      deviation(1.0);
      deviation(1e6);
    }
  }
}

TEST_CASE("Every retraction survives a step of length 1e20 and one that makes rows dependent") {
  for (const Retraction* retraction : retractions()) {
    CAPTURE(retraction->name);
    for (const Size size : sizes) {
      const Tensor R = point(size);
      const Tensor far = tensor(1e20 * matrix(tangent(R, 1)));
      CHECK(orthonormality_error(retraction->apply(R, far), size.r) < rounding);
      Matrix one_direction = Matrix::Zero(size.r, size.d);
      one_direction.col(0).setConstant(1e20);
      const Tensor projected = stiefel().project(R, tensor(one_direction));
      CHECK(orthonormality_error(retraction->apply(R, projected), size.r) < rounding);
    }
  }
}

TEST_CASE("The QR retraction has a positive diagonal") {
  for (const Size size : sizes) {
    const Tensor R = point(size);
    const Tensor xi = tangent(R, 1);
    const Matrix Y = matrix(R) + matrix(xi);
    const Matrix L = Y * matrix(retract_qr(R, xi)).transpose();  // Y = L Q
    for (Eigen::Index i = 0; i < L.rows(); ++i) {
      CHECK(L(i, i) > 0);
      for (Eigen::Index j = i + 1; j < L.cols(); ++j) CHECK(std::abs(L(i, j)) < rounding);
    }
  }
}

TEST_CASE("The polar retraction is the orthonormal factor U V^T of the singular value decomposition") {
  for (const Size size : sizes) {
    const Tensor R = point(size);
    const Tensor xi = tangent(R, 1);
    const Eigen::JacobiSVD<Eigen::MatrixXd> svd(Eigen::MatrixXd(matrix(R) + matrix(xi)),
                                                Eigen::ComputeThinU | Eigen::ComputeThinV);
    CHECK(difference(matrix(retract_polar(R, xi)), svd.matrixU() * svd.matrixV().transpose()) < rounding);
  }
}

TEST_CASE("The Cayley retraction equals its definition by d x d matrices") {
  for (const Size size : sizes) {
    const Tensor R = point(size);
    const Tensor xi = tangent(R, 1);
    const Eigen::MatrixXd X = matrix(R).transpose();
    const Eigen::MatrixXd I = Eigen::MatrixXd::Identity(size.d, size.d);
    const Eigen::MatrixXd PU = (I - 0.5 * X * X.transpose()) * matrix(xi).transpose();
    const Eigen::MatrixXd W = PU * X.transpose() - X * PU.transpose();
    const Eigen::MatrixXd Y = (I - 0.5 * W).partialPivLu().solve((I + 0.5 * W) * X);
    CHECK(difference(matrix(retract_cayley(R, xi)), Y.transpose()) < rounding);
  }
}

TEST_CASE("A stack gives each block what the block alone gives, in both types") {
  const std::int64_t k = 3;
  const Tensor R = random_stiefel(k * 2, 6, 2, 1, 0, DType::f64);
  const Tensor G = random_normal({k * 2, 6}, 0.0, 1.0, 1, 1, DType::f64);
  const Manifold manifold = stiefel();
  const Tensor all = riemannian_gradient(manifold, R, G, 2);
  const Tensor next = retract(manifold, R, all, 2);
  for (std::int64_t i = 0; i < k; ++i) {
    const Tensor alone = manifold.gradient(block_of(R, i, 2), block_of(G, i, 2));
    CHECK(difference(matrix(block_of(all, i, 2)), matrix(alone)) == 0.0);
    CHECK(difference(matrix(block_of(next, i, 2)), matrix(manifold.retract(block_of(R, i, 2), alone))) == 0.0);
  }
  const Tensor single = riemannian_gradient(manifold, R.to(DType::f32), G.to(DType::f32), 2);
  CHECK(single.dtype() == DType::f32);
  CHECK(difference(matrix(single.to(DType::f64)), matrix(all)) < 1e-5);  // inputs of order 1 rounded to f32
  CHECK(difference(matrix(project(manifold, R, G, 2)), matrix(all)) == 0.0);
}

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

TEST_CASE("The overlap is zero between blocks of one Stiefel point and sqrt(r) between equal blocks") {
  const Tensor joint = overlap(random_stiefel(6, 32, 6, 1, 0, DType::f64), 2);
  const Matrix expected = std::sqrt(2.0) * Matrix::Identity(3, 3);
  CHECK(difference(matrix(joint), expected) < rounding);
  Matrix twice(4, 32);
  const Tensor R = point({2, 32});
  twice << matrix(R), matrix(R);
  CHECK(difference(matrix(overlap(tensor(twice), 2)), Matrix::Constant(2, 2, std::sqrt(2.0))) < rounding);
}

TEST_CASE("Impossible stacks and unknown names are refused") {
  CHECK_THROWS_AS(random_stiefel(6, 4, 6, 1, 0), Error);
  CHECK_THROWS_AS(random_stiefel(6, 16, 4, 1, 0), Error);
  CHECK_THROWS_AS(random_stiefel(6, 16, 0, 1, 0), Error);
  CHECK_THROWS_AS(orthonormality_error(Tensor::zeros({2, 4}, DType::i32), 2), Error);
  CHECK_THROWS_AS(retract(stiefel(), point({2, 4}), point({2, 5}), 2), Error);
  CHECK_THROWS_WITH_AS(find_retraction("qf"),
                       "unknown retraction 'qf' (did you mean qr?): expected one of qr, polar, cayley", Error);
  CHECK_THROWS_AS(parse_stiefel_metric("Euclidean"), Error);
}

TEST_CASE("A matrix that is not finite has no orthonormality error that passes for small") {
  Tensor R = point({2, 4});
  R.span<double>()[5] = std::nan("");
  CHECK_FALSE(orthonormality_error(R, 2) < 1.0);
}
