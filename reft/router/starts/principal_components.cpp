#include "reft/router/starts/principal_components.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "core/ops/ops.h"
#include "core/tensor/random.h"
#include "reft/matrix_view.h"
#include "reft/random_streams.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {
namespace {

constexpr int iterations = 30;
constexpr std::int64_t extra_directions = 8;  // so that the last wanted ones converge as well
// A variance of a smaller share of the points' mean squared norm is rounding.
constexpr double least_variance = 1e-10;

// Rows of `directions` after one multiplication with the covariance of the centred points: V -> V X^T X / n.
Tensor times_covariance(const Tensor& centred, const Tensor& directions) {
  const Tensor coordinates = ops::matmul(directions, centred, ops::Transpose::no, ops::Transpose::yes);
  return ops::scale(ops::matmul(coordinates, centred), 1.0 / static_cast<double>(centred.rows()));
}

}  // namespace

PrincipalComponents principal_components(const Tensor& points, std::int64_t m, std::uint64_t seed) {
  require(m >= 1, "{} principal components are not possible: expected 1 or more", m);
  const std::int64_t n = points.rows(), d = points.cols();
  const Tensor mean = ops::scale(ops::sum_rows(points), 1.0 / static_cast<double>(n));
  const Tensor centred = ops::add_row(points, ops::scale(mean, -1.0));
  const double floor = least_variance * ops::squared_norm(points) / static_cast<double>(n);
  if (ops::squared_norm(centred) / static_cast<double>(n) <= floor) return {Tensor::zeros({0, d}, DType::f64), mean};
  const std::int64_t wanted = std::min({m, n, d}), width = std::min(wanted + extra_directions, d);

  Tensor directions = random_stiefel(width, d, width, seed, principal_components_stream, DType::f64);
  for (int i = 0; i < iterations; ++i) {
    // A little of the old directions keeps the rank where the points spread in fewer.
    Tensor next = times_covariance(centred, directions);
    ops::axpy_(next, 1e-12 * std::sqrt(ops::squared_norm(next)), directions);
    orthonormalise(next, width);
    directions = next;
  }
  // The covariance within the subspace, V C V^T, has the variances and how the directions must turn.
  const Tensor within =
      ops::matmul(times_covariance(centred, directions), directions, ops::Transpose::no, ops::Transpose::yes);
  const Eigen::SelfAdjointEigenSolver<Matrix> solved(matrix(within));
  const auto& variances = solved.eigenvalues();  // rising
  std::int64_t kept = 0;
  while (kept < wanted && variances[width - 1 - kept] > floor) ++kept;

  Matrix turned(kept, d);
  for (std::int64_t i = 0; i < kept; ++i) {
    const Eigen::Index at = width - 1 - i;
    turned.row(i) = solved.eigenvectors().col(at).transpose() * matrix(directions) / std::sqrt(variances[at]);
  }
  return {tensor(turned), mean};
}

}  // namespace csreft
