// Gradient descent with momentum on a Riemannian manifold, as geoopt's RiemannianSGD does it.
#pragma once

#include <cstdint>

#include "autograd/optimizers.h"
#include "reft/stiefel/riemannian_step.h"

namespace csreft {

// For each block, with x = grad f(R): m <- momentum m + x, R' = retract(R, -lr m), m' = m transported to R'.
struct RiemannianSgdOptions {
  double momentum = 0.9;
  // geoopt 0.5.1 starts m at the first matrix G of partial derivatives, which is not a tangent vector; here it starts
  // at 0 unless this is set.
  bool start_at_derivatives = false;
};

// For R [k block_rows, d]: first moment zero, of R's shape and type.
OptimizerState riemannian_sgd_state(const Tensor& R, std::int64_t block_rows);

// As riemannian_adam_step and riemannian_adam_steps.
void riemannian_sgd_step(Tensor& R, const Tensor& G, OptimizerState& state, double lr, const Manifold& manifold,
                         std::int64_t block_rows, const RiemannianSgdOptions& options = {});
void riemannian_sgd_steps(std::span<const RiemannianUpdate> updates, const Manifold& manifold,
                          const RiemannianSgdOptions& options = {});

}  // namespace csreft
