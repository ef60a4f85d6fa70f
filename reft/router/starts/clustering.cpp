#include "reft/router/starts/clustering.h"

#include <limits>

#include "core/ops/ops.h"
#include "reft/router/starts/kmeans.h"
#include "reft/router/starts/principal_components.h"

namespace csreft {
namespace {

// Found on mixtures of three to six tasks: with fewer some tasks fall together, with many more noise decides.
constexpr std::int64_t components_a_cluster = 2;
// Shares that differ by less are equal: the fewer groups are as good.
constexpr double rounding = 1e-9;

}  // namespace

Clusters find_clusters(const Tensor& points, std::int64_t most, std::uint64_t seed) {
  require(most >= 2, "{} clusters are none to tell apart: expected 2 or more", most);
  const auto [components, mean] = principal_components(points, components_a_cluster * most, seed);
  Clusters best{.centroids = Tensor::zeros({0, 0}, DType::f64), .components = components, .mean = mean};
  if (components.rows() == 0) return best;
  const Tensor centred = ops::add_row(points, ops::scale(mean, -1.0));
  double smallest = std::numeric_limits<double>::infinity();
  for (std::int64_t m = 2; m <= most; ++m) {
    const Tensor first = components.slice(0, std::min(components_a_cluster * m, components.rows()));
    const Tensor z = ops::matmul(centred, first, ops::Transpose::no, ops::Transpose::yes);
    const KMeans clusters = kmeans(z, m, seed);
    const double share = clusters.squared_distance / static_cast<double>(z.numel());
    if (share > smallest - rounding) continue;
    smallest = share;
    best.centroids = clusters.centroids;
    best.components = first;
  }
  return best;
}

}  // namespace csreft
