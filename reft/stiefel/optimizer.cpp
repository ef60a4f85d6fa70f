#include "reft/stiefel/optimizer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/ops/ops.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {
namespace {

bool on_stiefel(const OptimizerParameter& p) { return p.manifold == ParameterManifold::stiefel; }

void check_parameter(const OptimizerParameter& p) {
  require(p.value.defined(), "parameter {} has no value", p.name);
  if (on_stiefel(p)) check_stiefel_stack(p.value, p.block_rows, p.name);
}

// The optimizers that keep R orthonormal with their default options.
std::vector<std::string_view> exact_optimizers() {
  return names_where(optimizer_rules(),
                     [](const ChoiceEntry<OptimizerRule>& entry) { return entry.create()->keeps_orthonormal(); });
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

// The largest first, each to the share that has least.
std::vector<int> share_out(std::span<const OptimizerParameter> parameters, int shares) {
  std::vector<std::size_t> order(parameters.size());
  std::iota(order.begin(), order.end(), 0);
  const auto size_of_parameter = [&](std::size_t i) {
    return parameters[i].value.defined() ? parameters[i].value.numel() : 0;
  };
  std::ranges::stable_sort(order, std::ranges::greater{}, size_of_parameter);
  std::vector<std::int64_t> sums(static_cast<std::size_t>(shares), 0);
  std::vector<int> owners(parameters.size(), 0);
  for (const std::size_t i : order) {
    const auto least = std::ranges::min_element(sums);
    *least += size_of_parameter(i);
    owners[i] = static_cast<int>(least - sums.begin());
  }
  return owners;
}

}  // namespace

Optimizer::Optimizer(std::vector<OptimizerParameter> parameters, Chosen<OptimizerRule> rule, OptimizerShare share)
    : parameters_(std::move(parameters)),
      share_(share),
      owners_(share_out(parameters_, share.of)),
      rule_(std::move(rule)) {
  std::set<std::string_view> names;
  for (const OptimizerParameter& p : parameters_) {
    require(names.insert(p.name).second, "two parameters are named {}", p.name);
    check_parameter(p);
    require(!p.exact || rule_->keeps_orthonormal(),
            "{} must be orthonormal after every step, as --joint has it, and optimizer {} with the options given does "
            "not keep it so: expected one of {} with its default options",
            p.name, rule_.name(), fmt::join(exact_optimizers(), ", "));
    const std::size_t i = states_.size();
    OptimizerState state = on_stiefel(p) ? rule_->stiefel_state(p) : rule_->euclidean_state(p);
    for (const auto& [name, value] : named_parts(p.name, state)) {
      layout_.push_back({name, value.shape(), value.dtype(), owners_[i], {}});
    }
    states_.push_back(owners_[i] == share_.index ? std::move(state) : OptimizerState{});
  }
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
  std::vector<ParameterUpdate> euclidean, stiefel;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined() || !owns(i)) continue;
    const OptimizerParameter& p = parameters_[i];
    if (on_stiefel(p)) {
      stiefel.push_back({&p, gradients[i], &states_[i], lr * p.lr_scale * rule_->stiefel_lr()});
    } else {
      euclidean.push_back({&p, gradients[i], &states_[i], lr * p.lr_scale});
    }
  }
  if (!euclidean.empty()) rule_->euclidean_step(euclidean);
  if (!stiefel.empty()) rule_->stiefel_step(stiefel);
}

void Optimizer::forget() {
  for (auto& state : states_) {
    for (Tensor* moment : {&state.first_moment, &state.second_moment}) {
      if (moment->defined()) *moment = Tensor::zeros(moment->shape(), moment->options());
    }
    state.step = 0;
  }
}

std::vector<std::pair<std::string, Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, Tensor>> all;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (!owns(i)) continue;
    for (auto& part : named_parts(parameters_[i].name, states_[i])) all.push_back(std::move(part));
  }
  return all;
}

std::vector<Optimizer::StatePart> Optimizer::state_parts() const {
  std::vector<StatePart> all = layout_;
  const auto own = state();
  auto next = own.begin();
  for (StatePart& part : all) {
    if (part.owner == share_.index) part.value = (next++)->second;
  }
  return all;
}

void Optimizer::load_state(std::span<const std::pair<std::string, Tensor>> state) {
  std::map<std::string, Tensor> given(state.begin(), state.end());
  for (const auto& [name, shape, type, owner, value] : layout_) {
    const auto found = given.find(name);
    require(found != given.end(), "the optimizer's state lacks {}", name);
    require(found->second.defined() && found->second.shape() == shape && found->second.dtype() == type,
            "{} in the optimizer's state has shape {} and type {}: expected {} and {}", name,
            found->second.shape().str(), name_of(found->second.dtype()), shape.str(), name_of(type));
  }
  for (const auto& [name, tensor] : given) {
    require(std::ranges::find(layout_, name, &StatePart::name) != layout_.end(),
            "the optimizer's state has {}, which belongs to no parameter", name);
  }
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (!owns(i)) continue;
    const std::string& name = parameters_[i].name;
    if (states_[i].first_moment.defined())
      states_[i].first_moment = given.at(name + ".first_moment").clone().to(states_[i].first_moment.device());
    if (states_[i].second_moment.defined())
      states_[i].second_moment = given.at(name + ".second_moment").clone().to(states_[i].second_moment.device());
    states_[i].step = *given.at(name + ".step").data<std::int32_t>();
  }
}

}  // namespace csreft
