#include "reft/stiefel/optimizers/riemannian.h"

#include "reft/stiefel/stiefel.h"

namespace csreft {

void ManifoldOptions::describe(Options& options) {
  options.add_name("metric", metric, "the metric of the Stiefel manifold", metrics());
  options.add_name("retraction", retraction, "how a step returns to the Stiefel manifold", retractions());
}

OptimizerState riemannian_state(const OptimizerParameter& p, bool second_moment) {
  constexpr double tolerance = 1e-4;
  const double error = orthonormality_error(p.value, p.block_rows);
  require(error <= tolerance, "{} has rows that are not orthonormal: |R R^T - I| is {:.2g}, expected at most {}",
          p.name, error, tolerance);
  OptimizerState state{Tensor::zeros(p.value.shape(), p.value.options()), {}, 0};
  if (second_moment) {
    state.second_moment = Tensor::zeros({p.value.rows() / p.block_rows}, {DType::f64, p.value.device()});
  }
  return state;
}

OptimizerState RiemannianMomentum::stiefel_state(const OptimizerParameter& p) const {
  return riemannian_state(p, false);
}

void RiemannianMomentum::stiefel_step(std::span<const ParameterUpdate> updates) const {
  const Manifold manifold = find_manifold(manifold_.metric, manifold_.retraction);
  riemannian_steps(updates, [&](const ParameterUpdate& u) {
    return ops::StiefelFactors{.metric = manifold.metric,
                               .retraction = manifold.retraction,
                               .momentum = momentum_,
                               .gradient_factor = 1.0,
                               .beta2 = 0.0,
                               .step_size = u.lr,
                               .root_correction = 1.0,
                               .eps = 0.0};
  });
}

}  // namespace csreft
