#include "experiments/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/base/folder.h"
#include "core/device/device_info.h"
#include "core/tensor/random.h"
#include "experiments/cli/progress.h"
#include "experiments/training/metrics.h"
#include "reft/random_streams.h"

namespace csreft {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t steps_between_saves = 50;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<OptimizerParameter> optimizer_parameters(const Method& method, const TrainOptions& options) {
  std::vector<OptimizerParameter> out;
  for (const auto& p : method.parameters()) {
    out.push_back({.name = p.name,
                   .value = p.value.value(),
                   .manifold = p.manifold,
                   .block_rows = p.block_rows,
                   .lr_scale = p.router ? options.router_lr : 1.0});
  }
  return out;
}

// With those of the options that this optimizer reads.
Chosen<OptimizerRule> optimizer_rule(const TrainOptions& options) {
  auto rule = choose_optimizer(options.optimizer);
  const nlohmann::json given{{"weight_decay", options.weight_decay},
                             {"beta2", options.beta2},
                             {"stiefel_lr", options.stiefel_lr},
                             {"retraction", options.retraction}};
  OptionReader reader(given, "");
  Options described(reader);
  rule->describe(described);
  return rule;
}

void check_options(const TrainOptions& o) {
  require(o.batch >= 1, "--batch {} is not possible: expected 1 or more", o.batch);
  require(o.epochs >= 1, "--epochs {} is not possible: expected 1 or more", o.epochs);
  require(o.lr > 0.0 && std::isfinite(o.lr), "--lr {} is not possible: expected more than 0", o.lr);
  require(o.router_lr >= 0.0 && std::isfinite(o.router_lr), "--router-lr {} is not possible: expected 0 or more",
          o.router_lr);
  require(o.stiefel_lr >= 0.0 && std::isfinite(o.stiefel_lr), "--stiefel-lr {} is not possible: expected 0 or more",
          o.stiefel_lr);
  require(o.warmup >= 0.0 && o.warmup <= 1.0, "--warmup {} is not possible: expected a share from 0 to 1", o.warmup);
  require(o.weight_decay >= 0.0 && std::isfinite(o.weight_decay),
          "--weight-decay {} is not possible: expected 0 or more", o.weight_decay);
  require(o.beta2 > 0.0 && o.beta2 < 1.0, "--beta2 {} is not possible: expected a number between 0 and 1", o.beta2);
  require(o.clip >= 0.0, "--clip {} is not possible: expected 0 (off) or more", o.clip);
  require(o.max_length >= 2, "--max-length {} is not possible: expected 2 or more", o.max_length);
  require(o.max_steps >= 0, "--steps {} is not possible: expected 0 (all) or more", o.max_steps);
}

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

std::string describe(const StepMetrics& metrics) {
  std::string text = fmt::format("cross-entropy {:.4f}", metrics.cross_entropy);
  if (metrics.penalty != 0.0) text += fmt::format(", penalty {:.3f}", metrics.penalty);
  return text;
}

std::int64_t count_supervised(std::span<const EncodedExample* const> examples) {
  std::int64_t n = 0;
  for (const auto* e : examples) n += static_cast<std::int64_t>(e->ids.size()) - e->prompt_length;
  return n;
}

}  // namespace

double TrainResult::seconds() const {
  double sum = 0.0;
  for (const auto& m : steps) sum += m.seconds;
  return sum;
}

double TrainResult::tokens_per_second() const {
  double tokens = 0.0;
  for (const auto& m : steps) tokens += static_cast<double>(m.tokens);
  return steps.empty() ? 0.0 : tokens / seconds();
}

std::vector<double> TrainResult::losses() const {
  std::vector<double> out;
  for (const auto& m : steps) out.push_back(m.loss);
  return out;
}

std::vector<double> TrainResult::cross_entropies() const {
  std::vector<double> out;
  for (const auto& m : steps) out.push_back(m.cross_entropy);
  return out;
}

Trainer::Trainer(const LanguageModel& model, Method& method, std::span<const Task> tasks, TrainOptions options)
    : model_(model),
      method_(method),
      options_(std::move(options)),
      optimizer_(optimizer_parameters(method, options_), optimizer_rule(options_)) {
  check_options(options_);
  for (const Tensor& value : values()) good_values_.push_back(value.clone());
  std::int64_t cut = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    task_names_.push_back(tasks[t].name);
    for (std::size_t i = 0; i < tasks[t].examples.size(); ++i) {
      EncodedExample e = encode_example(model, tasks[t], i, options_.system, options_.max_length);
      e.task = t;
      if (e.cut) ++cut;
      examples_.push_back(std::move(e));
    }
  }
  require(!examples_.empty(), "there is no training example: expected at least one --train file with examples");
  if (cut > 0) {
    notices_.push_back(fmt::format("{} of {} examples are longer than {} tokens and are cut there", cut,
                                   examples_.size(),
                                   std::min(options_.max_length, model.llama.config().max_position_embeddings)));
  }
  if (options_.batch == 1 && !method_.penalty_is_mean()) {
    notices_.push_back(
        "the penalty compares the examples of a step, and is 0 where there is one: --batch 2 or more gives it work");
  }
  const auto n = static_cast<std::int64_t>(examples_.size());
  steps_per_epoch_ = (n + options_.batch - 1) / options_.batch;
  total_steps_ = steps_per_epoch_ * options_.epochs;
  if (options_.max_steps > 0) total_steps_ = std::min(total_steps_, options_.max_steps);
  const EncodedExample& shortest = *std::ranges::min_element(examples_, {}, &EncodedExample::prompt_length);
  check_edits(model_, method_, prompt_of(shortest), task_names_[shortest.task]);
  check_supervision();
}

// Shows the method the prompts of all examples. False if a signal cut that short.
bool Trainer::prepare() {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto& e : examples_) prompts.push_back(prompt_of(e));
  std::optional<Progress> reading;
  bool whole = true;
  const std::string found = method_.prepare(model_.llama, prompts, [&](std::int64_t done, std::int64_t total) {
    if (!reading) reading.emplace("read prompts", total, "", options_.quiet);
    reading->update(done);
    whole = done == total || !interrupted();
    return whole;
  });
  if (whole && !found.empty() && !options_.quiet) {
    fmt::print("note: {}\n", found);
    std::fflush(stdout);
  }
  return whole;
}

// Every step must have something to predict; only examples that are cut inside their prompts leave nothing.
void Trainer::check_supervision() const {
  const auto is_empty = [](const EncodedExample& e) {
    return static_cast<std::int64_t>(e.ids.size()) == e.prompt_length;
  };
  if (std::ranges::none_of(examples_, is_empty)) return;
  for (std::int64_t s = 0; s < total_steps_; ++s) {
    require(count_supervised(batch_of_step(s)) > 0,
            "the prompts of all examples of step {} fill --max-length {}: expected room for responses", s + 1,
            options_.max_length);
  }
}

// Step s takes batch s mod steps_per_epoch of a shuffle that depends on the seed and the epoch alone, so that a run can
// be continued at any step.
std::vector<const EncodedExample*> Trainer::batch_of_step(std::int64_t step) const {
  std::vector<std::size_t> order(examples_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(options_.seed, epoch_shuffle_stream + static_cast<std::uint64_t>(step / steps_per_epoch_));
  shuffle(order, random);
  const auto begin = static_cast<std::size_t>(step % steps_per_epoch_ * options_.batch);
  std::vector<const EncodedExample*> batch;
  for (std::size_t i = begin; i < std::min(begin + static_cast<std::size_t>(options_.batch), order.size()); ++i) {
    batch.push_back(&examples_[order[i]]);
  }
  return batch;
}

// Adds the gradients of loss = CE + lambda * Omega to the parameters. CE is the mean over all response tokens of the
// step, so each pass contributes its share; so does each to an Omega that is a mean over examples.
StepMetrics Trainer::accumulate(std::span<const EncodedExample* const> examples) {
  const std::int64_t supervised = count_supervised(examples);
  require(supervised > 0, "there is no response token in a batch of {} example(s)", examples.size());
  StepMetrics metrics;
  GateMeans gates(task_names_);
  const auto passes = split(examples, options_.tokens_per_pass);
  const bool penalised_apart = passes.size() == 1 || method_.penalty_is_mean();
  if (!penalised_apart) penalise(examples, 1.0, metrics);
  for (const auto pass : passes) {
    const double share = static_cast<double>(pass.size()) / static_cast<double>(examples.size());
    const SupervisedBatch batch = pack_examples(pass);
    metrics.tokens += batch.tokens.n_tokens();
    if (batch.n_supervised() == 0) {
      if (penalised_apart) penalise(pass, share, metrics);
      continue;
    }
    const std::vector<std::int32_t> tasks = tasks_of(pass);
    const MethodPass attached = method_.attach(model_.llama, {batch.tokens, batch.prompts, tasks});
    const Variable hidden = model_.llama.forward(batch.tokens, attached.points);
    Variable loss = head_cross_entropy(gather_rows(hidden, batch.rows), model_.llama.head(), batch.targets,
                                       1.0 / static_cast<double>(supervised));
    metrics.cross_entropy += loss.value().item();
    if (const Variable omega = penalised_apart ? method_.penalty(*attached.gates) : Variable(); omega.defined()) {
      metrics.penalty += share * omega.value().item();
      loss = add(loss, scale(omega, share * method_.options().lambda));
    }
    metrics.loss += loss.value().item();
    gates.add(pass, attached.gates->alpha);
    if (std::isfinite(metrics.loss)) backward(loss);
  }
  metrics.gates = gates.means();
  return metrics;
}

// share * lambda * Omega of the gates of these prompts alone: of a whole step whose Omega is no mean, or of a part in
// which there is nothing to predict.
void Trainer::penalise(std::span<const EncodedExample* const> examples, double share, StepMetrics& metrics) {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto* e : examples) prompts.push_back(prompt_of(*e));
  const std::vector<std::int32_t> tasks = tasks_of(examples);
  const Variable omega = method_.penalty(method_.route(model_.llama, prompts, tasks));
  if (!omega.defined()) return;
  metrics.penalty += share * omega.value().item();
  const Variable weighted = scale(omega, share * method_.options().lambda);
  metrics.loss += weighted.value().item();
  if (std::isfinite(metrics.loss)) backward(weighted);
}

std::vector<std::int32_t> Trainer::tasks_of(std::span<const EncodedExample* const> examples) const {
  std::vector<std::int32_t> tasks;
  for (const auto* e : examples) tasks.push_back(task_index(method_, task_stem(task_names_[e->task])));
  return tasks;
}

std::vector<Tensor> Trainer::values() const {
  std::vector<Tensor> values;
  for (const auto& p : method_.parameters()) values.push_back(p.value.value());
  return values;
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
  metrics.seconds = seconds_since(start);
  return metrics;
}

void Trainer::remember_good_values() {
  ops::copy_all_(good_values_, values());
  has_good_values_ = true;
}

void Trainer::restore_good_values() {
  if (!has_good_values_) return;
  ops::copy_all_(values(), good_values_);
}

void Trainer::check_finite(const StepMetrics& metrics, const std::filesystem::path& folder) {
  const char* what = !std::isfinite(metrics.loss)            ? "the loss is"
                     : !std::isfinite(metrics.gradient_norm) ? "the gradient is"
                     : !std::isfinite(global_norm(values())) ? "the updated parameters are"
                                                             : nullptr;
  if (what == nullptr) return;
  std::string kept = ", no step succeeded";
  if (has_good_values_ || metrics.step > 1) {
    restore_good_values();
    if (!folder.empty()) save_good_adapter(folder);
    kept = folder.empty() ? "" : fmt::format(", the last good adapter is in {}", (folder / "adapter").string());
  }
  fail("{} not finite at step {} of {}{}: expected a smaller --lr (it was {:g})", what, metrics.step, total_steps_,
       kept, options_.lr);
}

TrainResult Trainer::run(const std::filesystem::path& folder, bool resume) {
  std::optional<MetricsLog> log;
  std::int64_t done = 0;
  TrainResult result;
  result.interrupted = !resume && !prepare();
  if (!folder.empty()) {
    make_folder(folder);
    if (resume) result.steps = load(folder);
    done = static_cast<std::int64_t>(result.steps.size());
    log.emplace(folder / "metrics.jsonl", result.steps);
  }

  Progress progress("train", total_steps_ - done, "tok", options_.quiet);
  double tokens = 0.0;  // of this process
  for (std::int64_t s = done; s < total_steps_ && !result.interrupted; ++s) {
    const auto batch = batch_of_step(s);
    // The first step has a rate above zero: step s of n uses the factor of s + 1 in n + 1.
    const double lr = options_.lr * learning_rate_factor(s + 1, total_steps_ + 1, options_.warmup);
    StepMetrics metrics = step(batch, lr);
    metrics.step = s + 1;
    check_finite(metrics, folder);
    result.steps.push_back(metrics);
    tokens += static_cast<double>(metrics.tokens);
    if (log) log->add(metrics);
    result.interrupted = interrupted();
    progress.update(s + 1 - done, tokens, describe(metrics));
    const bool last = s + 1 == total_steps_ || result.interrupted;
    if (!folder.empty() && (last || (s + 1) % steps_between_saves == 0)) save(folder, s + 1);
  }
  progress.finish();
  return result;
}

}  // namespace csreft
