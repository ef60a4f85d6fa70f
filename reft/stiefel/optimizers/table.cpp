#include <array>

#include "reft/stiefel/optimizers/optimizer_rule.h"

namespace csreft {

extern const ChoiceEntry<OptimizerRule> riemannian_adam_optimizer, riemannian_sgd_optimizer, adamw_qr_optimizer,
    adamw_free_optimizer, sgd_optimizer, landing_optimizer;

namespace {

constexpr std::array table{
    &riemannian_adam_optimizer, &riemannian_sgd_optimizer, &adamw_qr_optimizer, &adamw_free_optimizer, &sgd_optimizer,
    &landing_optimizer};

}  // namespace

std::span<const ChoiceEntry<OptimizerRule>* const> optimizer_rules() { return table; }

Chosen<OptimizerRule> choose_optimizer(std::string_view name) { return {optimizer_rules(), "optimizer", name}; }

}  // namespace csreft
