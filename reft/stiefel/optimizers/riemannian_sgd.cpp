#include "reft/stiefel/optimizers/riemannian.h"

namespace csreft {
namespace {

class RiemannianSgd : public OptimizerRule {
 public:
  // A clipped gradient has at most the norm 1, and momentum .9 makes up to ten of it: where R has a tenth of the
  // gradient's norm, 30 moves it as far as Riemannian Adam's 30 does.
  RiemannianSgd() : OptimizerRule(30.0) {}

  void describe(Options& options) override {
    OptimizerRule::describe(options);
    manifold_.describe(options);
    options.add("momentum", momentum_, "share of the step before, of R", momentum_range());
  }

  OptimizerState stiefel_state(const OptimizerParameter& p) const override { return riemannian_state(p, false); }

  void stiefel_step(std::span<const ParameterUpdate> updates) const override {
    riemannian_sgd_steps(updates, manifold_, momentum_);
  }

 private:
  ManifoldOptions manifold_;
  double momentum_ = 0.9;
};

}  // namespace

extern const ChoiceEntry<OptimizerRule> riemannian_sgd_optimizer;
const ChoiceEntry<OptimizerRule> riemannian_sgd_optimizer{
    "riemannian_sgd", "AdamW; on the Stiefel manifold Riemannian gradient descent with momentum",
    [] { return std::make_unique<RiemannianSgd>(); }};

}  // namespace csreft
