#include "reft/stiefel/optimizers/optimizer_rule.h"

#include <vector>

namespace csreft {

void OptimizerRule::add_weight_decay(Options& options) {
  options.add("weight_decay", weight_decay_, "weight decay", not_negative());
}

void OptimizerRule::add_stiefel_lr(Options& options) {
  options.add("stiefel_lr", stiefel_lr_, "learning rate of the orthonormal R, as a multiple of --lr", not_negative());
}

void OptimizerRule::describe(Options& options) {
  add_weight_decay(options);
  options.add("beta2", beta2_, "decay of Adam's second moments", between(0.0, 1.0));
  add_stiefel_lr(options);
}

OptimizerState OptimizerRule::euclidean_state(const OptimizerParameter& parameter) const {
  return adamw_state(parameter.value);
}

void OptimizerRule::euclidean_step(std::span<const ParameterUpdate> updates) const {
  std::vector<ParameterStep> steps;
  for (const auto& [p, g, state, lr] : updates) steps.push_back({p->value, g, state, lr});
  AdamWOptions options;
  options.beta2 = beta2_;
  options.weight_decay = weight_decay_;
  adamw_steps(steps, options);
}

}  // namespace csreft
