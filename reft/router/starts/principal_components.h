// Principal component analysis, as far as it is needed to look at points without regard to how far each direction
// spreads.
#pragma once

#include <cstdint>

#include "core/tensor/tensor.h"

namespace csreft {

// z = components (x - mean): the coordinates of a point along the directions in which the points spread most, each with
// mean 0 and deviation 1 over the points (whitened).
struct PrincipalComponents {
  Tensor components;  // f64 [m, d]; m may be smaller than was asked for, even 0, where the points spread in fewer
  Tensor mean;        // f64 [d]
};

// The first m components of points f64 [n, d], by subspace iteration (Halko, Martinsson and Tropp 2011) from random
// directions of `seed`: products of the points with thin matrices only. Throws Error unless 1 <= m.
PrincipalComponents principal_components(const Tensor& points, std::int64_t m, std::uint64_t seed);

}  // namespace csreft
