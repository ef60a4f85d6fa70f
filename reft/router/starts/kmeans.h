// k-means: Lloyd's iterations from k-means++ seeds (Arthur and Vassilvitskii 2007), the best of several restarts.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor/tensor.h"

namespace csreft {

struct KMeans {
  Tensor centroids;                       // f64 [k, d]
  std::vector<std::int32_t> assignments;  // of each point, to the nearest centroid
  double squared_distance = 0.0;          // sum over the points, to their centroids
};

// points: f64 [n, d], n >= 1. With fewer distinct points than k some centroids are equal. The same seed gives the same
// clusters.
KMeans kmeans(const Tensor& points, std::int64_t k, std::uint64_t seed, int restarts = 10);

}  // namespace csreft
