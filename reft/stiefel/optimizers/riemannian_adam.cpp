#include <cmath>

#include "reft/stiefel/optimizers/riemannian.h"

namespace csreft {
namespace {

constexpr double beta1 = 0.9;
constexpr double eps = 1e-8;

// 1 / (1 - beta^t): what a moving average that starts at zero lacks after t steps.
double correction(double beta, const OptimizerState& state) {
  return 1.0 / (1.0 - std::pow(beta, static_cast<double>(state.step + 1)));
}

// Adam on a Riemannian manifold (Becigneul and Ganea, "Riemannian adaptive optimization methods", 2019), as geoopt's
// RiemannianAdam does it. For each block, with x = grad f(R): m <- beta1 m + (1 - beta1) x,
// v <- beta2 v + (1 - beta2) <x, x>_R, R' = retract(R, -lr m^ / (sqrt(v^) + eps)), m' = m transported to R'; m^ and v^
// are bias-corrected. A manifold has no coordinates to scale one by one, so v is a single number a block.
// Weight decay has no meaning on the Stiefel manifold, where every point has the same norm.
class RiemannianAdam : public OptimizerRule {
 public:
  // A step has the length lr in all, where AdamW moves each of a matrix's elements by about lr: at the same rate R
  // would stand still while W moves.
  RiemannianAdam() : OptimizerRule(30.0) {}

  void describe(Options& options) override {
    OptimizerRule::describe(options);
    manifold_.describe(options);
  }

  OptimizerState stiefel_state(const OptimizerParameter& p) const override { return riemannian_state(p, true); }

  void stiefel_step(std::span<const ParameterUpdate> updates) const override {
    const Manifold manifold = find_manifold(manifold_.metric, manifold_.retraction);
    riemannian_steps(updates, [&](const ParameterUpdate& u) {
      return ops::StiefelFactors{.metric = manifold.metric,
                                 .retraction = manifold.retraction,
                                 .momentum = beta1,
                                 .gradient_factor = 1.0 - beta1,
                                 .beta2 = beta2_,
                                 .step_size = u.lr * correction(beta1, *u.state),
                                 .root_correction = std::sqrt(correction(beta2_, *u.state)),
                                 .eps = eps};
    });
  }

  bool keeps_orthonormal() const override { return true; }

 private:
  ManifoldOptions manifold_;
};

}  // namespace

extern const ChoiceEntry<OptimizerRule> riemannian_adam_optimizer;
const ChoiceEntry<OptimizerRule> riemannian_adam_optimizer{"riemannian_adam",
                                                           "AdamW; on the Stiefel manifold Riemannian Adam",
                                                           [] { return std::make_unique<RiemannianAdam>(); }};

}  // namespace csreft
