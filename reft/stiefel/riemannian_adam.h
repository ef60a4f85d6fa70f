// Adam on a Riemannian manifold (Becigneul and Ganea, "Riemannian adaptive optimization methods", 2019), as geoopt's
// RiemannianAdam does it.
#pragma once

#include <cstdint>

#include "autograd/optimizers.h"
#include "reft/stiefel/riemannian_step.h"

namespace csreft {

// For each block, with x = grad f(R): m <- beta1 m + (1 - beta1) x, v <- beta2 v + (1 - beta2) <x, x>_R,
// R' = retract(R, -lr m^ / (sqrt(v^) + eps)), m' = m transported to R'; m^ and v^ are bias-corrected. A manifold has no
// coordinates to scale one by one, so v is a single number a block, and a step has about the length lr in all.
// Weight decay has no meaning on the Stiefel manifold, where every point has the same norm.
struct RiemannianAdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
};

// For R [k block_rows, d]: first moment zero, of R's shape and type; second moment zero, f64 [k]; both on R's device.
OptimizerState riemannian_adam_state(const Tensor& R, std::int64_t block_rows);

// Updates R (f32 or f64, on the manifold) and `state` in place from the matrix G of partial derivatives, R's shape and
// type. Computed in f64 whatever the type. Throws Error, and changes nothing, if G is not finite or its norm overflows,
// or if G or `state` does not fit R. Results do not depend on the number of threads.
void riemannian_adam_step(Tensor& R, const Tensor& G, OptimizerState& state, double lr, const Manifold& manifold,
                          std::int64_t block_rows, const RiemannianAdamOptions& options = {});

// The same for several stacks, in one call, but whether gradients are finite is the caller's to know: with a manifold
// that is a primitive the host does not wait for a device.
void riemannian_adam_steps(std::span<const RiemannianUpdate> updates, const Manifold& manifold,
                           const RiemannianAdamOptions& options = {});

}  // namespace csreft
