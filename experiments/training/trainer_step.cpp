// What one optimizer step computes: the loss of its examples, the gradients, the update.

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/device/device_info.h"
#include "experiments/training/gate_means.h"
#include "experiments/training/step_parts.h"
#include "experiments/training/trainer.h"

namespace csreft {
namespace {

using Clock = std::chrono::steady_clock;

double count_prompt_tokens(Examples examples) {
  std::int64_t n = 0;
  for (const auto* e : examples) n += e->prompt_length;
  return static_cast<double>(n);
}

std::vector<std::vector<std::int32_t>> prompts_of(Examples examples) {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto* e : examples) prompts.push_back(prompt_of(*e));
  return prompts;
}

}  // namespace

// Adds the gradients of loss = CE + lambda * Omega to the parameters, of this rank's examples. CE is the mean over all
// response tokens of the step, so each pass contributes its share; so does each to an Omega that is a mean over
// examples. One that is no mean is computed from the gates of the whole step, by the only pass or apart.
StepMetrics Trainer::accumulate(Examples examples, GateMeans& gates) {
  const std::int64_t supervised = count_supervised(examples);
  require(supervised > 0, "there is no response token in a batch of {} example(s)", examples.size());
  StepMetrics metrics;
  const Examples own = part_of_rank(examples, ranks_.rank(), ranks_.size());
  const Routing* routing = method_.routing();
  const bool mean = routing == nullptr || routing->penalty_is_mean();
  const bool penalised_by_pass = mean || most_passes(examples) == 1;
  if (!penalised_by_pass) penalise(examples, own, metrics);
  if (penalised_by_pass && !mean && own.empty()) static_cast<void>(of_all_ranks({}));
  for (const auto pass : passes_of(own, options_.tokens_per_pass)) {
    const double share = routing != nullptr && routing->by_token()
                             ? count_prompt_tokens(pass) / count_prompt_tokens(examples)
                             : static_cast<double>(pass.size()) / static_cast<double>(examples.size());
    const SupervisedBatch batch = pack_examples(pass);
    metrics.tokens += batch.tokens.n_tokens();
    const std::vector<std::int32_t> tasks = tasks_of(pass);
    moment_.before = spans_of({examples.begin(), pass.begin()});
    const auto attached = method_.attach({batch.tokens, batch.prompts, tasks, moment_});
    const Attachments points = attached->points();  // a checkpointed block is computed again in the backward
    const Variable hidden = model_.llama.forward(batch.tokens, points);
    Variable loss = head_cross_entropy(gather_rows(hidden, batch.rows), model_.llama.head(), batch.targets,
                                       1.0 / static_cast<double>(supervised));
    metrics.cross_entropy += loss.value().item();
    const Gates* decided = attached->gates();
    const bool penalised = routing != nullptr && decided != nullptr && penalised_by_pass;
    if (const Variable omega = penalised ? penalty_of(*decided) : Variable(); omega.defined()) {
      // Every rank has the whole of an Omega that is no mean, and counts its share.
      const double weight = mean ? share : 1.0, value = omega.value().item();
      metrics.penalty += share * value;
      loss = add(loss, scale(omega, weight * routing->lambda()));
      metrics.loss -= (weight - share) * routing->lambda() * value;
    }
    metrics.loss += loss.value().item();
    if (decided != nullptr) gates.add(pass, decided->alpha);
    if (std::isfinite(metrics.loss)) backward(loss);
  }
  if (ranks_.is_first()) regularise(metrics);
  return metrics;
}

// Of the rank that has most.
std::size_t Trainer::most_passes(Examples examples) const {
  std::size_t most = 0;
  for (int r = 0; r < ranks_.size(); ++r) {
    most = std::max(most, passes_of(part_of_rank(examples, r, ranks_.size()), options_.tokens_per_pass).size());
  }
  return most;
}

// What the method adds to the loss of a step by its parameters alone.
void Trainer::regularise(StepMetrics& metrics) {
  const Variable omega = method_.regulariser();
  if (!omega.defined()) return;
  metrics.penalty += omega.value().item();
  metrics.loss += omega.value().item();
  if (std::isfinite(metrics.loss)) backward(omega);
}

// Omega of some prompts' gates, or, if it is no mean, of the whole step's.
Variable Trainer::penalty_of(const Gates& gates) {
  const Routing& routing = *method_.routing();
  if (routing.penalty_is_mean()) return routing.penalty(gates);
  return routing.penalty({gates.alpha, of_all_ranks(gates.probabilities)});
}

// lambda * Omega of the gates of these prompts alone: of a whole step whose Omega is no mean.
void Trainer::penalise(Examples examples, Examples own, StepMetrics& metrics) {
  const Routing& routing = *method_.routing();
  if (own.empty()) {
    static_cast<void>(of_all_ranks({}));
    return;
  }
  moment_.before = spans_of({examples.begin(), own.begin()});
  const Variable omega = penalty_of(routing.route(prompts_of(own), tasks_of(own), moment_));
  if (!omega.defined()) return;
  const double share = static_cast<double>(own.size()) / static_cast<double>(examples.size());
  metrics.penalty += share * omega.value().item();
  const Variable weighted = scale(omega, routing.lambda());
  metrics.loss += share * weighted.value().item();
  if (std::isfinite(metrics.loss)) backward(weighted);
}

std::vector<std::int32_t> Trainer::tasks_of(Examples examples) const {
  std::vector<std::int32_t> tasks;
  for (const auto* e : examples) tasks.push_back(method_.task_index(task_stem(task_names_[e->task])));
  return tasks;
}

std::vector<Tensor> Trainer::take_gradients() {
  std::vector<Tensor> gradients;
  for (const auto& p : method_.parameters()) {
    gradients.push_back(p.value.grad());
    p.value.clear_grad();
  }
  return gradients;
}

StepMetrics Trainer::step(Examples examples, double lr) {
  const auto start = Clock::now();
  const Routing* routing = method_.routing();
  GateMeans gates(task_names_, routing == nullptr ? 0 : routing->subspaces());
  StepMetrics metrics = accumulate(examples, gates);
  std::vector<Tensor> gradients = take_gradients();
  sum_over_ranks(metrics, gates, gradients);
  metrics.gates = gates.means();
  if (!std::isfinite(metrics.loss)) return metrics;
  remember_good_values();
  metrics.gradient_norm = options_.clip > 0.0 ? clip_by_global_norm(gradients, options_.clip) : global_norm(gradients);
  if (!std::isfinite(metrics.gradient_norm)) return metrics;
  optimizer_.step(gradients, lr);
  ranks_.broadcast_from_owners_(values_of_all_, optimizer_.owners());
  metrics.lr = lr;
  synchronize(model_.llama.options().device);
  metrics.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return metrics;
}

}  // namespace csreft
