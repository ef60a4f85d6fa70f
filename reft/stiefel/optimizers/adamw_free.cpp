#include "reft/stiefel/optimizers/optimizer_rule.h"

namespace csreft {
namespace {

class AdamWFree : public OptimizerRule {
 public:
  // AdamW moves each element of R by about lr, as it does those of W.
  AdamWFree() : OptimizerRule(1.0) {}

  OptimizerState stiefel_state(const OptimizerParameter& p) const override { return euclidean_state(p); }
  void stiefel_step(std::span<const ParameterUpdate> updates) const override { euclidean_step(updates); }
  bool keeps_orthonormal() const override { return false; }
};

}  // namespace

extern const ChoiceEntry<OptimizerRule> adamw_free_optimizer;
const ChoiceEntry<OptimizerRule> adamw_free_optimizer{"adamw", "AdamW for all; R does not stay orthonormal",
                                                      [] { return std::make_unique<AdamWFree>(); }};

}  // namespace csreft
