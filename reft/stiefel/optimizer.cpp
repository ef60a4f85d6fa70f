#include "reft/stiefel/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "core/base/table.h"
#include "core/ops/ops.h"

namespace csreft {
namespace {

void adamw_rule(std::span<const ParameterUpdate> updates, const OptimizerOptions& options,
                const Manifold& /*manifold*/) {
  std::vector<ParameterStep> steps;
  for (const auto& [p, g, state, lr] : updates) steps.push_back({p->value, g, state, lr});
  adamw_steps(steps, options.adamw);
}

void adamw_qr_rule(std::span<const ParameterUpdate> updates, const OptimizerOptions& options,
                   const Manifold& manifold) {
  adamw_rule(updates, options, manifold);
  for (const ParameterUpdate& update : updates) {
    if (update.state->step % options.orthonormalise_interval != 0) continue;
    const OptimizerParameter& p = *update.parameter;
    Tensor R = p.value;
    orthonormalise(R, p.block_rows);
  }
}

void sgd_rule(std::span<const ParameterUpdate> updates, const OptimizerOptions& options, const Manifold& /*manifold*/) {
  for (const auto& [p, g, state, lr] : updates) sgd_step(p->value, g, *state, lr, options.sgd);
}

std::vector<RiemannianUpdate> riemannian(std::span<const ParameterUpdate> updates) {
  std::vector<RiemannianUpdate> all;
  for (const auto& [p, g, state, lr] : updates) all.push_back({p->value, g, state, lr, p->block_rows});
  return all;
}

void riemannian_adam_rule(std::span<const ParameterUpdate> updates, const OptimizerOptions& options,
                          const Manifold& manifold) {
  riemannian_adam_steps(riemannian(updates), manifold, options.riemannian_adam);
}

void riemannian_sgd_rule(std::span<const ParameterUpdate> updates, const OptimizerOptions& options,
                         const Manifold& manifold) {
  riemannian_sgd_steps(riemannian(updates), manifold, options.riemannian_sgd);
}

OptimizerState adamw_rule_state(const OptimizerParameter& p) { return adamw_state(p.value); }
OptimizerState sgd_rule_state(const OptimizerParameter& p) { return sgd_state(p.value); }

// The Riemannian rules keep R on the manifold and rely on its being there; the free ones start from any R, such as that
// of a resumed run.
void check_on_manifold(const OptimizerParameter& p) {
  constexpr double tolerance = 1e-4;
  const double error = orthonormality_error(p.value.to(Device{}), p.block_rows);
  require(error <= tolerance, "{} has rows that are not orthonormal: |R R^T - I| is {:.2g}, expected at most {}",
          p.name, error, tolerance);
}
OptimizerState riemannian_adam_rule_state(const OptimizerParameter& p) {
  check_on_manifold(p);
  return riemannian_adam_state(p.value, p.block_rows);
}
OptimizerState riemannian_sgd_rule_state(const OptimizerParameter& p) {
  check_on_manifold(p);
  return riemannian_sgd_state(p.value, p.block_rows);
}

constexpr UpdateRule adamw{adamw_rule_state, adamw_rule};
constexpr UpdateRule adamw_qr{adamw_rule_state, adamw_qr_rule};
constexpr UpdateRule sgd{sgd_rule_state, sgd_rule};
constexpr UpdateRule riemannian_adam{riemannian_adam_rule_state, riemannian_adam_rule};
constexpr UpdateRule riemannian_sgd{riemannian_sgd_rule_state, riemannian_sgd_rule};

constexpr OptimizerRule with_riemannian_adam{"riemannian_adam", "AdamW; on the Stiefel manifold Riemannian Adam", adamw,
                                             riemannian_adam};
constexpr OptimizerRule with_riemannian_sgd{"riemannian_sgd",
                                            "AdamW; on the Stiefel manifold Riemannian gradient descent with momentum",
                                            adamw, riemannian_sgd};
constexpr OptimizerRule with_orthonormalisation{
    "adamw+qr", "AdamW for all; R is moved freely and made orthonormal again by QR", adamw, adamw_qr};
constexpr OptimizerRule adamw_for_all{"adamw", "AdamW for all; R does not stay orthonormal", adamw, adamw};
constexpr OptimizerRule sgd_for_all{"sgd", "gradient descent with momentum; on the Stiefel manifold the Riemannian one",
                                    sgd, riemannian_sgd};

constexpr std::array table{&with_riemannian_adam, &with_riemannian_sgd, &with_orthonormalisation, &adamw_for_all,
                           &sgd_for_all};

void check_parameter(const OptimizerParameter& p) {
  require(p.value.defined(), "parameter {} has no value", p.name);
  if (p.manifold == ParameterManifold::stiefel) check_stiefel_stack(p.value, p.block_rows, p.name);
}

// The parts of a state under the names of state().
std::vector<std::pair<std::string, Tensor>> named_parts(const std::string& name, const OptimizerState& state) {
  require(state.step <= std::int64_t{INT32_MAX}, "{} has made {} steps, more than can be saved", name, state.step);
  const auto step = static_cast<std::int32_t>(state.step);
  std::vector<std::pair<std::string, Tensor>> parts;
  if (state.first_moment.defined()) parts.emplace_back(name + ".first_moment", state.first_moment);
  if (state.second_moment.defined()) parts.emplace_back(name + ".second_moment", state.second_moment);
  parts.emplace_back(name + ".step", Tensor::from<std::int32_t>({&step, 1}, {1}));
  return parts;
}

}  // namespace

std::span<const OptimizerRule* const> optimizer_rules() { return table; }

Optimizer::Optimizer(std::vector<OptimizerParameter> parameters, OptimizerOptions options)
    : parameters_(std::move(parameters)),
      options_(std::move(options)),
      rules_(&find_named(optimizer_rules(), "optimizer", options_.name)),
      manifold_(stiefel(options_.metric, find_retraction(options_.retraction))) {
  require(options_.orthonormalise_interval > 0, "orthonormalisation every {} steps: expected at least 1",
          options_.orthonormalise_interval);
  std::set<std::string_view> names;
  for (const OptimizerParameter& p : parameters_) {
    require(names.insert(p.name).second, "two parameters are named {}", p.name);
    check_parameter(p);
    states_.push_back(rule(p).state(p));
  }
  offsets_ = offsets_by_origin();
}

std::vector<std::vector<std::size_t>> Optimizer::offsets_by_origin() const {
  std::vector<std::vector<std::size_t>> offsets(parameters_.size());
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const OptimizerParameter& p = parameters_[i];
    if (p.offset_from.empty()) continue;
    const auto origin = std::ranges::find(parameters_, p.offset_from, &OptimizerParameter::name);
    require(origin != parameters_.end() && origin->offset_from.empty() && origin->value.shape() == p.value.shape() &&
                origin->value.dtype() == p.value.dtype(),
            "parameter {} cannot be an offset from '{}': expected another of shape {} and type {} that is no offset",
            p.name, p.offset_from, p.value.shape().str(), name_of(p.value.dtype()));
    offsets[static_cast<std::size_t>(origin - parameters_.begin())].push_back(i);
  }
  return offsets;
}

const UpdateRule& Optimizer::rule(const OptimizerParameter& parameter) const {
  return parameter.manifold == ParameterManifold::stiefel ? rules_->stiefel : rules_->euclidean;
}

// One norm for all: the host waits once for a device. Only if that is not finite it asks whose is not.
void Optimizer::check_gradients(std::span<const Tensor> gradients) const {
  const Tensor& first = *std::ranges::find_if(gradients, &Tensor::defined);
  bool alike = true;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Tensor& g = gradients[i];
    const OptimizerParameter& p = parameters_[i];
    if (!g.defined()) continue;
    require(g.shape() == p.value.shape() && g.dtype() == p.value.dtype(),
            "the gradient of {} has shape {} and type {}: expected {} and {}", p.name, g.shape().str(),
            name_of(g.dtype()), p.value.shape().str(), name_of(p.value.dtype()));
    alike = alike && g.dtype() == first.dtype() && g.device() == first.device();
  }
  if (alike && std::isfinite(ops::squared_norms(gradients))) return;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    require(!gradients[i].defined() || std::isfinite(ops::squared_norm(gradients[i])),
            "the gradient of {} is not finite", parameters_[i].name);
  }
}

void Optimizer::step(std::span<const Tensor> gradients, double lr) {
  require(gradients.size() == parameters_.size(), "{} gradients for {} parameters", gradients.size(),
          parameters_.size());
  require(std::ranges::any_of(gradients, &Tensor::defined), "no parameter has a gradient: the loss reaches none");
  require(std::isfinite(lr), "a learning rate of {}: expected a finite number", lr);
  check_gradients(gradients);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    for (const std::size_t offset : offsets_[i]) ops::axpy_(parameters_[offset].value, -1.0, parameters_[i].value);
  }
  std::vector<ParameterUpdate> euclidean, stiefel;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) continue;
    OptimizerParameter& p = parameters_[i];
    Tensor gradient = gradients[i];
    for (const std::size_t offset : offsets_[i]) {
      if (gradients[offset].defined()) gradient = ops::add(gradient, gradients[offset]);
    }
    auto& updates = p.manifold == ParameterManifold::stiefel ? stiefel : euclidean;
    updates.push_back({&p, gradient, &states_[i], lr * p.lr_scale});
  }
  if (!euclidean.empty()) rules_->euclidean.step(euclidean, options_, manifold_);
  if (!stiefel.empty()) rules_->stiefel.step(stiefel, options_, manifold_);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    for (const std::size_t offset : offsets_[i]) ops::add_(parameters_[offset].value, parameters_[i].value);
  }
}

std::vector<std::pair<std::string, Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, Tensor>> all;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    for (auto& part : named_parts(parameters_[i].name, states_[i])) all.push_back(std::move(part));
  }
  return all;
}

void Optimizer::load_state(std::span<const std::pair<std::string, Tensor>> state) {
  std::map<std::string, Tensor> given(state.begin(), state.end());
  const auto expected = this->state();
  for (const auto& [name, tensor] : expected) {
    const auto found = given.find(name);
    require(found != given.end(), "the optimizer's state lacks {}", name);
    require(
        found->second.defined() && found->second.shape() == tensor.shape() && found->second.dtype() == tensor.dtype(),
        "{} in the optimizer's state has shape {} and type {}: expected {} and {}", name, found->second.shape().str(),
        name_of(found->second.dtype()), tensor.shape().str(), name_of(tensor.dtype()));
  }
  for (const auto& [name, tensor] : given) {
    require(std::ranges::find(expected, name, &std::pair<std::string, Tensor>::first) != expected.end(),
            "the optimizer's state has {}, which belongs to no parameter", name);
  }
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const std::string& name = parameters_[i].name;
    if (states_[i].first_moment.defined())
      states_[i].first_moment = given.at(name + ".first_moment").clone().to(states_[i].first_moment.device());
    if (states_[i].second_moment.defined())
      states_[i].second_moment = given.at(name + ".second_moment").clone().to(states_[i].second_moment.device());
    states_[i].step = *given.at(name + ".step").data<std::int32_t>();
  }
}

}  // namespace csreft
