#include "reft/stiefel/optimizers/optimizer_rule.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {
namespace {

class AdamWQr : public OptimizerRule {
 public:
  // AdamW moves each element of R by about lr, as it does those of W.
  AdamWQr() : OptimizerRule(1.0) {}

  void describe(Options& options) override {
    OptimizerRule::describe(options);
    options.add("orthonormalise_every", every_, "steps of AdamW after which R is made orthonormal again", at_least(1));
  }

  OptimizerState stiefel_state(const OptimizerParameter& p) const override { return euclidean_state(p); }

  void stiefel_step(std::span<const ParameterUpdate> updates) const override {
    euclidean_step(updates);
    for (const auto& [p, g, state, lr] : updates) {
      if (state->step % every_ != 0) continue;
      Tensor R = p->value;
      orthonormalise(R, p->block_rows);
    }
  }

  bool keeps_orthonormal() const override { return every_ == 1; }

 private:
  std::int64_t every_ = 1;
};

}  // namespace

extern const ChoiceEntry<OptimizerRule> adamw_qr_optimizer;
const ChoiceEntry<OptimizerRule> adamw_qr_optimizer{"adamw+qr",
                                                    "AdamW for all; R is moved freely and made orthonormal again by QR",
                                                    [] { return std::make_unique<AdamWQr>(); }};

}  // namespace csreft
