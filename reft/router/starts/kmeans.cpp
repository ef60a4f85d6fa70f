#include "reft/router/starts/kmeans.h"

#include <limits>

#include "core/tensor/random.h"
#include "reft/matrix_view.h"
#include "reft/random_streams.h"

namespace csreft {
namespace {

using Points = Eigen::Map<Matrix>;

constexpr int most_iterations = 100;

// The point at which the running sum of `weights` passes a random share of the whole; the first if all are zero.
Eigen::Index draw(const Eigen::VectorXd& weights, Random& random) {
  double left = random.uniform() * weights.sum();
  for (Eigen::Index i = 0; i < weights.size(); ++i) {
    left -= weights[i];
    if (left < 0.0) return i;
  }
  return 0;
}

// k-means++: each new centroid is a point, drawn by its squared distance to the nearest centroid so far.
Matrix seed_centroids(const Points& x, Eigen::Index k, Random& random) {
  Matrix centroids(k, x.cols());
  centroids.row(0) = x.row(static_cast<Eigen::Index>(random.below(static_cast<std::uint64_t>(x.rows()))));
  Eigen::VectorXd nearest = (x.rowwise() - centroids.row(0)).rowwise().squaredNorm();
  for (Eigen::Index j = 1; j < k; ++j) {
    centroids.row(j) = x.row(draw(nearest, random));
    nearest = nearest.cwiseMin((x.rowwise() - centroids.row(j)).rowwise().squaredNorm());
  }
  return centroids;
}

// Sets assignments to the nearest centroids. Returns the sum of squared distances, and whether any has changed.
std::pair<double, bool> assign(const Points& x, const Matrix& centroids, std::vector<std::int32_t>& assignments) {
  // |x - c|^2 = |x|^2 - 2 x.c + |c|^2
  Matrix distances = -2.0 * x * centroids.transpose();
  distances.rowwise() += centroids.rowwise().squaredNorm().transpose();
  distances.colwise() += x.rowwise().squaredNorm();
  double sum = 0.0;
  bool changed = false;
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    Eigen::Index best = 0;
    sum += distances.row(i).minCoeff(&best);
    auto& assigned = assignments[static_cast<std::size_t>(i)];
    changed = changed || assigned != best;
    assigned = static_cast<std::int32_t>(best);
  }
  return {sum, changed};
}

// Each centroid to the mean of its points; one without points stays.
void move_centroids(const Points& x, const std::vector<std::int32_t>& assignments, Matrix& centroids) {
  Matrix sums = Matrix::Zero(centroids.rows(), centroids.cols());
  Eigen::VectorXd counts = Eigen::VectorXd::Zero(centroids.rows());
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    const auto j = assignments[static_cast<std::size_t>(i)];
    sums.row(j) += x.row(i);
    counts[j] += 1.0;
  }
  for (Eigen::Index j = 0; j < centroids.rows(); ++j) {
    if (counts[j] > 0.0) centroids.row(j) = sums.row(j) / counts[j];
  }
}

}  // namespace

KMeans kmeans(const Tensor& points, std::int64_t k, std::uint64_t seed, int restarts) {
  require(points.defined() && points.rows() >= 1, "k-means of no points: expected at least one");
  const Points x = matrix(points);
  Random random(seed, kmeans_stream);
  KMeans best{.centroids = {}, .assignments = {}, .squared_distance = std::numeric_limits<double>::infinity()};
  for (int restart = 0; restart < restarts; ++restart) {
    Matrix centroids = seed_centroids(x, k, random);
    std::vector<std::int32_t> assignments(static_cast<std::size_t>(points.rows()), -1);
    auto [sum, changed] = assign(x, centroids, assignments);
    for (int i = 0; changed && i < most_iterations; ++i) {
      move_centroids(x, assignments, centroids);
      std::tie(sum, changed) = assign(x, centroids, assignments);
    }
    if (sum >= best.squared_distance) continue;
    best = {tensor(centroids), std::move(assignments), sum};
  }
  return best;
}

}  // namespace csreft
