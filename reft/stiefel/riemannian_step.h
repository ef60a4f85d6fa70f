// What the Riemannian optimizers share: stacks of points that step together, their checks, and the way to the host of
// those on a manifold that is no primitive.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "autograd/optimizers.h"
#include "core/ops/ops.h"
#include "reft/stiefel/manifold.h"

namespace csreft {

// The part of one stack R [k block_rows, d] in a step of several, with the matrix G of partial derivatives.
struct RiemannianUpdate {
  Tensor R, G;
  OptimizerState* state;
  double lr;
  std::int64_t block_rows;
};

// Throws Error unless the gradient G and the first moment have R's shape, type and device. Returns the number of
// blocks.
inline std::int64_t check_riemannian_update(const RiemannianUpdate& update) {
  const Tensor &R = update.R, &G = update.G, &m = update.state->first_moment;
  const auto fits = [&](const Tensor& t) {
    return t.defined() && t.shape() == R.shape() && t.dtype() == R.dtype() && t.device() == R.device();
  };
  require(fits(G), "a gradient of shape {} and type {} does not fit a point of shape {} and type {} on {}",
          G.shape().str(), name_of(G.dtype()), R.shape().str(), name_of(R.dtype()), to_string(R.device()));
  require(fits(m), "a first moment of shape {} and type {} does not fit a point of shape {} and type {} on {}",
          m.shape().str(), name_of(m.dtype()), R.shape().str(), name_of(R.dtype()), to_string(R.device()));
  return count_blocks(R, update.block_rows);
}

// Throws Error unless the gradient's norm is finite; waits for the device.
inline void check_finite(const Tensor& G) {
  require(std::isfinite(ops::squared_norm(G)), "a gradient of shape {} has no finite norm: expected finite elements",
          G.shape().str());
}

// One step of each stack. Where the manifold is a primitive, all are made by it together, with what factors_of(update)
// returns; otherwise step(update) makes each, on the host.
template <typename Factors, typename Step>
void riemannian_steps(std::span<const RiemannianUpdate> updates, const Manifold& manifold, const Factors& factors_of,
                      const Step& step) {
  if (manifold.primitive) {
    std::vector<ops::StiefelUpdate> all;
    for (const RiemannianUpdate& u : updates) {
      all.push_back({u.R, u.G, u.state->first_moment, u.state->second_moment, u.block_rows, factors_of(u)});
    }
    ops::stiefel_step_(all);
  } else {
    for (const RiemannianUpdate& u : updates) {
      const Device host;
      OptimizerState state{u.state->first_moment.to(host), {}, u.state->step};
      if (u.state->second_moment.defined()) state.second_moment = u.state->second_moment.to(host);
      const Tensor R = u.R.to(host);
      step({R, u.G.to(host), &state, u.lr, u.block_rows});
      if (u.R.device() == host) continue;
      ops::copy_(u.R, R);
      ops::copy_(u.state->first_moment, state.first_moment);
      if (state.second_moment.defined()) ops::copy_(u.state->second_moment, state.second_moment);
    }
  }
  for (const RiemannianUpdate& u : updates) ++u.state->step;
}

}  // namespace csreft
