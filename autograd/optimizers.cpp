#include "autograd/optimizers.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/ops/ops.h"

namespace csreft {
namespace {

void check_same(const Tensor& tensor, const Tensor& w, const char* what) {
  require(tensor.defined() && tensor.shape() == w.shape() && tensor.dtype() == w.dtype(),
          "{} of shape {} and type {} does not fit a parameter of shape {} and type {}", what, tensor.shape().str(),
          name_of(tensor.dtype()), w.shape().str(), name_of(w.dtype()));
}

// step_size = lr / (1 - beta1^t); root_correction = 1 / sqrt(1 - beta2^t).
ops::AdamWFactors adamw_factors(std::int64_t t, double lr, const AdamWOptions& options) {
  const auto steps = static_cast<double>(t);
  return {.decay = 1.0 - lr * options.weight_decay,
          .beta1 = options.beta1,
          .beta2 = options.beta2,
          .step_size = lr / (1.0 - std::pow(options.beta1, steps)),
          .root_correction = 1.0 / std::sqrt(1.0 - std::pow(options.beta2, steps)),
          .eps = options.eps};
}

}  // namespace

OptimizerState adamw_state(const Tensor& w) {
  return {Tensor::zeros(w.shape(), w.dtype(), w.device()), Tensor::zeros(w.shape(), w.dtype(), w.device()), 0};
}

void adamw_steps(std::span<const ParameterStep> steps, const AdamWOptions& options) {
  std::vector<ops::AdamWUpdate> updates;
  for (const auto& [w, g, state, lr] : steps) {
    check_same(g, w, "a gradient");
    check_same(state->first_moment, w, "a first moment");
    check_same(state->second_moment, w, "a second moment");
    updates.push_back({w, g, state->first_moment, state->second_moment, adamw_factors(state->step + 1, lr, options)});
  }
  ops::adamw_(updates);
  for (const ParameterStep& step : steps) ++step.state->step;
}

OptimizerState sgd_state(const Tensor& w) { return {Tensor::zeros(w.shape(), w.dtype(), w.device()), {}, 0}; }

void sgd_step(Tensor& w, const Tensor& g, OptimizerState& state, double lr, const SgdOptions& options) {
  check_same(g, w, "a gradient");
  check_same(state.first_moment, w, "a first moment");
  ops::momentum_sgd_(w, g, state.first_moment,
                     {.lr = lr, .momentum = options.momentum, .weight_decay = options.weight_decay});
  ++state.step;
}

double global_norm(std::span<const Tensor> gradients) { return std::sqrt(ops::squared_norms(gradients)); }

double clip_by_global_norm(std::span<Tensor> gradients, double max_norm) {
  require(max_norm > 0, "a maximal gradient norm of {} clips everything: expected more than 0", max_norm);
  const double norm = global_norm(gradients);
  if (!std::isfinite(norm) || norm <= max_norm) return norm;
  std::ranges::move(ops::scale_all(gradients, max_norm / norm), gradients.begin());
  return norm;
}

double learning_rate_factor(std::int64_t step, std::int64_t total_steps, double warmup_fraction) {
  require(step >= 0 && total_steps > 0, "step {} of {} steps has no learning rate", step, total_steps);
  require(warmup_fraction >= 0 && warmup_fraction <= 1, "a warm-up of {} of the steps: expected 0 to 1",
          warmup_fraction);
  const auto warmup = static_cast<std::int64_t>(std::ceil(warmup_fraction * static_cast<double>(total_steps)));
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(warmup);
  const auto left = static_cast<double>(std::max<std::int64_t>(total_steps - step, 0));
  return left / static_cast<double>(std::max<std::int64_t>(total_steps - warmup, 1));
}

}  // namespace csreft
