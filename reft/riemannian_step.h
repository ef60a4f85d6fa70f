// What the steps of all Riemannian optimizers check before they change anything.
#pragma once

#include <cmath>

#include "core/ops.h"
#include "reft/manifold.h"

namespace csreft {

// Throws Error unless the gradient G and the first moment m have R's shape and type, and G a finite norm. Returns the
// number of blocks.
inline std::int64_t check_riemannian_step(const Tensor& R, const Tensor& G, const Tensor& m, std::int64_t block_rows) {
  const auto fits = [&](const Tensor& t) { return t.defined() && t.shape() == R.shape() && t.dtype() == R.dtype(); };
  require(fits(G), "a gradient of shape {} and type {} does not fit a point of shape {} and type {}", G.shape().str(),
          name_of(G.dtype()), R.shape().str(), name_of(R.dtype()));
  require(fits(m), "a first moment of shape {} and type {} does not fit a point of shape {} and type {}",
          m.shape().str(), name_of(m.dtype()), R.shape().str(), name_of(R.dtype()));
  require(std::isfinite(ops::squared_norm(G)), "a gradient of shape {} has no finite norm: expected finite elements",
          G.shape().str());
  return count_blocks(R, block_rows);
}

}  // namespace csreft
