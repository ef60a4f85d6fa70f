#include "reft/stiefel/optimizers/riemannian.h"

namespace csreft {
namespace {

class Sgd : public RiemannianMomentum {
 public:
  void describe(Options& options) override {
    add_weight_decay(options);
    add_stiefel_lr(options);
    manifold_.describe(options);
    options.add("momentum", momentum_, "share of the step before", share_less_than_one());
  }

  OptimizerState euclidean_state(const OptimizerParameter& p) const override { return sgd_state(p.value); }

  void euclidean_step(std::span<const ParameterUpdate> updates) const override {
    for (const auto& [p, g, state, lr] : updates) {
      Tensor w = p->value;
      sgd_step(w, g, *state, lr, {.momentum = momentum_, .weight_decay = weight_decay_});
    }
  }
};

}  // namespace

extern const ChoiceEntry<OptimizerRule> sgd_optimizer;
const ChoiceEntry<OptimizerRule> sgd_optimizer{
    "sgd", "gradient descent with momentum; on the Stiefel manifold the Riemannian one",
    [] { return std::make_unique<Sgd>(); }};

}  // namespace csreft
