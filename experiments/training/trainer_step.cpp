// What one optimizer step computes: the loss of its examples, the gradients, the update.

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/device/device_info.h"
#include "experiments/training/trainer.h"

namespace csreft {
namespace {

using Clock = std::chrono::steady_clock;

// Consecutive runs of examples of at most `tokens` tokens each (or one example).
std::vector<std::span<const EncodedExample* const>> split(std::span<const EncodedExample* const> examples,
                                                          std::int64_t tokens) {
  std::vector<std::span<const EncodedExample* const>> passes;
  for (std::size_t begin = 0; begin < examples.size();) {
    std::size_t end = begin;
    std::int64_t sum = 0;
    while (end < examples.size()) {
      sum += static_cast<std::int64_t>(examples[end]->ids.size());
      if (end > begin && sum > tokens) break;
      ++end;
    }
    passes.push_back(examples.subspan(begin, end - begin));
    begin = end;
  }
  return passes;
}

// The mean gates of each task over the examples of a step.
class GateMeans {
 public:
  explicit GateMeans(std::span<const std::string> tasks) : tasks_(tasks), sums_(tasks.size()), n_(tasks.size()) {}

  // alpha: [examples, k], or undefined where there are no gates.
  void add(std::span<const EncodedExample* const> examples, const Variable& alpha) {
    if (!alpha.defined()) return;
    const Tensor values = alpha.value().to(DType::f64).to(Device{});
    const auto k = static_cast<std::size_t>(values.cols());
    for (std::size_t e = 0; e < examples.size(); ++e) {
      const std::size_t t = examples[e]->task;
      sums_[t].resize(k, 0.0);
      for (std::size_t i = 0; i < k; ++i) sums_[t][i] += values.span<double>()[e * k + i];
      n_[t] += 1.0;
    }
  }

  std::map<std::string, std::vector<double>> means() const {
    std::map<std::string, std::vector<double>> out;
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      if (n_[t] == 0.0) continue;
      out[tasks_[t]] = sums_[t];
      for (double& x : out[tasks_[t]]) x /= n_[t];
    }
    return out;
  }

 private:
  std::span<const std::string> tasks_;
  std::vector<std::vector<double>> sums_;
  std::vector<double> n_;
};

double count_prompt_tokens(std::span<const EncodedExample* const> examples) {
  std::int64_t n = 0;
  for (const auto* e : examples) n += e->prompt_length;
  return static_cast<double>(n);
}

}  // namespace

// Adds the gradients of loss = CE + lambda * Omega to the parameters. CE is the mean over all response tokens of the
// step, so each pass contributes its share; so does each to an Omega that is a mean over examples.
StepMetrics Trainer::accumulate(std::span<const EncodedExample* const> examples) {
  const std::int64_t supervised = count_supervised(examples);
  require(supervised > 0, "there is no response token in a batch of {} example(s)", examples.size());
  StepMetrics metrics;
  GateMeans gates(task_names_);
  const auto passes = split(examples, options_.tokens_per_pass);
  const Routing* routing = method_.routing();
  const bool penalised_apart = passes.size() == 1 || routing == nullptr || routing->penalty_is_mean();
  moment_.pass = 0;
  if (!penalised_apart) penalise(examples, 1.0, metrics);
  for (const auto pass : passes) {
    const double share = routing != nullptr && routing->by_token()
                             ? count_prompt_tokens(pass) / count_prompt_tokens(examples)
                             : static_cast<double>(pass.size()) / static_cast<double>(examples.size());
    const SupervisedBatch batch = pack_examples(pass);
    metrics.tokens += batch.tokens.n_tokens();
    const std::vector<std::int32_t> tasks = tasks_of(pass);
    const auto attached = method_.attach({batch.tokens, batch.prompts, tasks, moment_});
    ++moment_.pass;
    const Attachments points = attached->points();  // a checkpointed block is computed again in the backward
    const Variable hidden = model_.llama.forward(batch.tokens, points);
    Variable loss = head_cross_entropy(gather_rows(hidden, batch.rows), model_.llama.head(), batch.targets,
                                       1.0 / static_cast<double>(supervised));
    metrics.cross_entropy += loss.value().item();
    const Gates* decided = attached->gates();
    const bool penalised = routing != nullptr && decided != nullptr && penalised_apart;
    if (const Variable omega = penalised ? routing->penalty(*decided) : Variable(); omega.defined()) {
      metrics.penalty += share * omega.value().item();
      loss = add(loss, scale(omega, share * routing->lambda()));
    }
    metrics.loss += loss.value().item();
    if (decided != nullptr) gates.add(pass, decided->alpha);
    if (std::isfinite(metrics.loss)) backward(loss);
  }
  regularise(metrics);
  metrics.gates = gates.means();
  return metrics;
}

// What the method adds to the loss of a step by its parameters alone.
void Trainer::regularise(StepMetrics& metrics) {
  const Variable omega = method_.regulariser();
  if (!omega.defined()) return;
  metrics.penalty += omega.value().item();
  metrics.loss += omega.value().item();
  if (std::isfinite(metrics.loss)) backward(omega);
}

// share * lambda * Omega of the gates of these prompts alone: of a whole step whose Omega is no mean.
void Trainer::penalise(std::span<const EncodedExample* const> examples, double share, StepMetrics& metrics) {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto* e : examples) prompts.push_back(prompt_of(*e));
  const std::vector<std::int32_t> tasks = tasks_of(examples);
  const Routing* routing = method_.routing();
  if (routing == nullptr) return;
  const Variable omega = routing->penalty(routing->route(prompts, tasks, moment_));
  if (!omega.defined()) return;
  metrics.penalty += share * omega.value().item();
  const Variable weighted = scale(omega, share * routing->lambda());
  metrics.loss += weighted.value().item();
  if (std::isfinite(metrics.loss)) backward(weighted);
}

std::vector<std::int32_t> Trainer::tasks_of(std::span<const EncodedExample* const> examples) const {
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

StepMetrics Trainer::step(std::span<const EncodedExample* const> examples, double lr) {
  const auto start = Clock::now();
  StepMetrics metrics = accumulate(examples);
  std::vector<Tensor> gradients = take_gradients();
  if (!std::isfinite(metrics.loss)) return metrics;
  remember_good_values();
  metrics.gradient_norm = options_.clip > 0.0 ? clip_by_global_norm(gradients, options_.clip) : global_norm(gradients);
  if (!std::isfinite(metrics.gradient_norm)) return metrics;
  optimizer_.step(gradients, lr);
  metrics.lr = lr;
  synchronize(model_.llama.options().device);
  metrics.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return metrics;
}

}  // namespace csreft
