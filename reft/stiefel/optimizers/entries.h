// The table's entries, one a file.
#pragma once

#include "reft/stiefel/optimizers/optimizer_rule.h"

namespace csreft {

extern const ChoiceEntry<OptimizerRule> riemannian_adam_optimizer;
extern const ChoiceEntry<OptimizerRule> riemannian_sgd_optimizer;
extern const ChoiceEntry<OptimizerRule> adamw_qr_optimizer;
extern const ChoiceEntry<OptimizerRule> adamw_free_optimizer;
extern const ChoiceEntry<OptimizerRule> sgd_optimizer;
extern const ChoiceEntry<OptimizerRule> landing_optimizer;

}  // namespace csreft
