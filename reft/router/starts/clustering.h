// How many groups points fall into, and which: k-means among whitened principal components.
#pragma once

#include <cstdint>

#include "core/tensor/tensor.h"

namespace csreft {

// m groups by the nearest centroid of z = components (x - mean).
struct Clusters {
  Tensor centroids;   // f64 [m, c]
  Tensor components;  // f64 [c, d], whitened
  Tensor mean;        // f64 [d]
};

// The m from 2 to `most` whose centroids leave the smallest share of the variance of the first 2 m components
// unexplained. k-means of m groups explains m - 1 of 2 m whitened components at best, and does so while there are m
// groups to be found: the share then falls, (m + 1) / (2 m), and rises once a real group has to be cut.
// That needs 2 `most` components. Where points or dimensions are too few for them, the share falls with every group,
// and `most` groups are found. points: f64 [n, d]; most >= 2. Points that are all equal have no group: centroids
// and components of no rows. The same seed gives the same clusters.
Clusters find_clusters(const Tensor& points, std::int64_t most, std::uint64_t seed);

}  // namespace csreft
