#include "reft/router/starts/principal_components.h"

#include <Eigen/Eigenvalues>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "core/tensor/random.h"
#include "reft/matrix_view.h"
#include "tests/compare.h"
#include "tests/error_text.h"

using csreft::DType;
using csreft::Tensor;

namespace {

// Points of `rank` directions in 9 dimensions, of falling spread, around a mean that is not zero.
Tensor points(std::int64_t n, std::int64_t rank) {
  const Tensor coordinates = csreft::random_normal({n, rank}, 0.0, 1.0, 3, 0, DType::f64);
  Tensor directions = csreft::random_normal({rank, 9}, 0.0, 1.0, 3, 1, DType::f64);
  for (std::int64_t i = 0; i < rank; ++i) {
    csreft::ops::copy_(directions.slice(i, i + 1),
                       csreft::ops::scale(directions.slice(i, i + 1), 3.0 / static_cast<double>(i + 1)));
  }
  return csreft::ops::add_row(csreft::ops::matmul(coordinates, directions), Tensor::full({9}, 2.0, DType::f64));
}

}  // namespace

TEST_CASE("components are those of the covariance's eigenvectors, each scaled to deviation 1") {
  const Tensor x = points(40, 9);
  const auto [components, mean] = csreft::principal_components(x, 3, 1);
  REQUIRE(components.rows() == 3);
  const csreft::Matrix centred = csreft::matrix(x).rowwise() - csreft::matrix(x).colwise().mean();
  CHECK((csreft::matrix(mean.view({1, 9})) - csreft::matrix(x).colwise().mean()).norm() < 1e-12);
  const Eigen::SelfAdjointEigenSolver<csreft::Matrix> solved(centred.transpose() * centred / 40.0);
  for (std::int64_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    const auto vector = solved.eigenvectors().col(8 - i);
    const double along = csreft::matrix(components).row(i).dot(vector.transpose());
    // Its sign is free. Thirty iterations leave the less of the spread to other directions the faster it falls.
    CHECK(std::abs(along) * std::sqrt(solved.eigenvalues()[8 - i]) == doctest::Approx(1.0).epsilon(1e-6));
  }
  const csreft::Matrix z = centred * csreft::matrix(components).transpose();
  CHECK((z.transpose() * z / 40.0 - csreft::Matrix::Identity(3, 3)).norm() < 1e-6);
}

TEST_CASE("there are no more components than directions in which the points spread") {
  CHECK(csreft::principal_components(points(40, 2), 5, 1).components.rows() == 2);
  CHECK(csreft::principal_components(points(3, 9), 5, 1).components.rows() == 2);
  CHECK(csreft::principal_components(points(1, 9), 5, 1).components.rows() == 0);
  CHECK(csreft::principal_components(Tensor::full({6, 9}, 0.1, DType::f64), 2, 1).components.rows() == 0);
  CHECK(csreft::principal_components(Tensor::zeros({6, 9}, DType::f64), 2, 1).components.rows() == 0);
  CHECK(contains(error_text([] { csreft::principal_components(points(4, 2), 0, 1); }), "expected 1 or more"));
}
