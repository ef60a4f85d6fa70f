#include "experiments/training/trainer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/base/folder.h"
#include "core/device/device_info.h"
#include "core/tensor/random.h"
#include "experiments/cli/progress.h"
#include "experiments/training/metrics.h"
#include "experiments/training/step_memory.h"
#include "reft/random_streams.h"

namespace csreft {
namespace {

using Clock = std::chrono::steady_clock;

struct KeptStep {
  std::string_view name, summary;
};
constexpr std::array kept_steps{KeptStep{"last", "of the last step"},
                                KeptStep{"best", "of the step with the lowest cross-entropy on --validation"}};

struct TaskOrder {
  std::string_view name, summary;
};
struct LearntTurns {
  std::string_view name, summary;
};
constexpr std::array turns_to_learn{
    LearntTurns{"all", "each behind its own prompt, as it is answered: all that came before it"},
    LearntTurns{"last", "the last one alone, which costs less"}};

constexpr std::array task_orders{
    TaskOrder{"mixed", "all at once, shuffled; but one after the other where the method asks for it"},
    TaskOrder{"sequence", "one after the other, in the order that they are given in, and all scored after each"}};

std::vector<OptimizerParameter> optimizer_parameters(const Method& method) {
  std::vector<OptimizerParameter> out;
  for (const auto& p : method.parameters()) {
    out.push_back({.name = p.name,
                   .value = p.value.value(),
                   .manifold = p.manifold,
                   .block_rows = p.block_rows,
                   .exact = p.exact,
                   .lr_scale = p.lr_scale});
  }
  return out;
}

std::string describe(const StepMetrics& metrics, const std::vector<ValidationRecord>& validation) {
  std::string text = fmt::format("cross-entropy {:.4f}", metrics.cross_entropy);
  if (metrics.penalty != 0.0) text += fmt::format(", penalty {:.3f}", metrics.penalty);
  if (!validation.empty()) text += fmt::format(", validation {:.4f}", validation.back().cross_entropy);
  return text;
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

void TrainOptions::describe(Options& options) {
  options.add("batch", batch, "examples in an optimizer step", at_least(1));
  options.add("epochs", epochs, "passes over the training data", at_least(1));
  options.add_name("order", order, "in which the tasks are learnt", task_orders);
  options.add_name("loss_on", loss_on, "turns of the assistant that are learnt of a conversation", turns_to_learn);
  options.add("steps", max_steps,
              "stop after this many steps (of each task, where tasks are learnt in sequence); 0: all of them",
              at_least(0));
  options.add("lr", lr, "largest learning rate", positive());
  options.add("warmup", warmup, "share of the steps over which the rate rises; then it falls to 0, linearly",
              Range<double>{"a share from 0 to 1", [](double x) { return x >= 0.0 && x <= 1.0; }});
  options.add("clip", clip, "largest norm of the gradient; 0: no clipping", not_negative());
  options.choose("optimizer", optimizer, "how parameters are moved");
  options.add("max_length", max_length,
              "tokens at which a training example is cut; one whose prompt has as many is left out", at_least(2));
  options.add("tokens_per_pass", tokens_per_pass, "a batch with more tokens is computed in several passes",
              at_least(1));
  options.add("validate_every", validate_every, "steps from one measurement on --validation to the next; 0: an epoch",
              at_least(0));
  options.add_name("keep", keep, "the adapter that is kept and scored", kept_steps);
  options.add("seed", seed, "seed of initial values and of the order of examples");
}

Trainer::Trainer(const LanguageModel& model, Method& method, std::span<const Task> tasks, TrainOptions options,
                 const Ranks& ranks)
    : model_(model),
      method_(method),
      options_(std::move(options)),
      ranks_(ranks),
      optimizer_(optimizer_parameters(method), options_.optimizer, {ranks.rank(), ranks.size()}) {
  set_options(options_, nlohmann::json::object());  // checks them
  method_.check_save(model_);
  for (const auto& p : method_.parameters()) {
    values_of_all_.push_back(p.value.value());
    if (p.part == ParameterPart::model) continue;
    adapter_values_.push_back(p.value.value());
    good_values_.push_back(p.value.value().clone());
  }
  for (const auto& task : tasks) add_task(task);
  require(!turns_.empty(), "there is no training example: expected at least one --train file with examples");
  if (n_cut_ > 0) {
    notices_.push_back(fmt::format("{} of {} examples are longer than {} tokens and are cut there", n_cut_,
                                   turns_.size(), std::min(options_.max_length, context_length(model.llama.config()))));
  }
  if (options_.batch == 1 && method_.routing() != nullptr && !method_.routing()->penalty_is_mean()) {
    notices_.push_back(
        "the penalty compares the examples of a step, and is 0 where there is one: --batch 2 or more gives it work");
  }
  for (auto& notice : method_.notices()) notices_.push_back(std::move(notice));
  phases_ = make_phases();
  require(options_.keep != "best" || phases_.size() < 2,
          "--keep best may keep a step before later tasks are learnt, and {} are learnt in sequence: expected --keep "
          "last",
          fmt::join(task_stems(tasks), ", "));
  total_steps_ = phases_.back().first_step + phases_.back().steps;
  moment_ = {.step = 0, .total_steps = total_steps_, .seed = options_.seed};
  const EncodedExample& shortest = *std::ranges::min_element(examples_, {}, &EncodedExample::prompt_length);
  check_edits(method_, prompt_of(shortest), task_names_[shortest.task]);
  check_step_memory(model_.llama, method_,
                    longest_pass(turn_lengths(), options_.batch, options_.tokens_per_pass, ranks_.size()), "/",
                    ranks_.size(), ranks_.local_size());
  check_ranks();
}

void Trainer::remember_good_values() {
  if (good_values_.empty()) return;
  ops::copy_all_(good_values_, adapter_values_);
  has_good_values_ = true;
}

std::string Trainer::keep_after_failure(const Place& place) {
  const std::string where = (place.folder / "adapter").string();
  const bool writes = !place.folder.empty() && ranks_.is_first();
  if (!best_values_.empty()) {
    ops::copy_all_(values_of_all_, best_values_);
    if (!writes) return "";
    save_good_adapter(place.folder);
    return fmt::format(", the best adapter so far, of step {}, is in {}", best_of(place.result.validation).step, where);
  }
  if (good_values_.empty()) {
    const bool is_saved = !place.folder.empty() && std::filesystem::exists(place.folder / "adapter");
    return is_saved ? fmt::format(", what was saved last is in {}", where) : ", nothing was saved yet";
  }
  if (!has_good_values_ && place.step == 1) return ", no step succeeded";
  // A resumed run that fails at once has the good values still.
  if (has_good_values_) ops::copy_all_(adapter_values_, good_values_);
  if (!writes) return "";
  save_good_adapter(place.folder);
  return fmt::format(", the last good adapter is in {}", where);
}

void Trainer::fail_as_not_finite(std::string_view what, const Place& place) {
  const std::string kept = keep_after_failure(place);
  ranks_.wait_for_all();  // for the first, which has written it
  throw TrainingDiverged(fmt::format("{} not finite at step {} of {}{}: expected a smaller --lr (it was {:g})", what,
                                     place.step, total_steps_, kept, options_.lr));
}

void Trainer::validate_on(std::vector<Task> tasks, const EvaluationOptions& options) {
  EvaluationOptions all = options;
  all.max_examples = 0;
  for (const auto& task : tasks) check_task(model_, &method_, task, all);
  validation_.emplace(model_, std::move(tasks), options);
}

bool Trainer::validation_is_due(std::int64_t step, const TrainResult& result) const {
  if (!validation_ || step == 0) return false;
  if (!result.validation.empty() && result.validation.back().step >= step) return false;
  const Phase& phase = phases_[phase_of(step - 1)];
  const std::int64_t every = options_.validate_every > 0 ? options_.validate_every : phase.steps_per_epoch;
  const std::int64_t done = step - phase.first_step;
  return done % every == 0 || done == phase.steps;
}

bool Trainer::validate(const std::filesystem::path& folder, std::int64_t step, TrainResult& result,
                       std::optional<LineLog>& log) {
  const auto record = measure_validation(step);
  if (!record) return false;
  if (!std::isfinite(record->cross_entropy)) {
    fail_as_not_finite("the validation cross-entropy is", {step, folder, result});
  }
  result.validation.push_back(*record);
  if (log) log->add(validation_line(*record));
  if (options_.keep == "best" && best_of(result.validation).step == step) {
    best_values_.clear();  // before another copy is made
    for (const Tensor& value : values_of_all_) best_values_.push_back(value.clone());
  }
  return true;
}

void Trainer::keep_best(TrainResult& result) {
  if (best_values_.empty()) return;
  ops::copy_all_(values_of_all_, best_values_);
  result.kept_step = best_of(result.validation).step;
}

TrainResult Trainer::run(const std::filesystem::path& folder, bool resume) {
  TrainResult result;
  std::optional<LineLog> log, validation_log, sequence_log;
  const bool writes = !folder.empty() && ranks_.is_first();
  check_ranks_do_the_same(!folder.empty(), resume);
  if (writes) make_folder(folder);
  if (!folder.empty() && resume) result = load(folder);
  if (!resume) result.interrupted = !prepare();
  if (writes) {
    log.emplace(folder / "metrics.jsonl", metrics_lines(result.steps));
    if (validation_) validation_log.emplace(folder / "validation.jsonl", validation_lines(result.validation));
    if (score_) sequence_log.emplace(folder / "sequence.jsonl", sequence_lines(result.sequence));
  }
  const auto done = static_cast<std::int64_t>(result.steps.size());
  // One that a signal had prevented.
  if (validation_is_due(done, result)) result.interrupted = !validate(folder, done, result, validation_log);
  if (!result.interrupted && scoring_is_due(done, result)) result.interrupted = !score_tasks(result, sequence_log);
  const auto save_now = [&] {
    if (log) log->sync();
    if (validation_log) validation_log->sync();
    if (sequence_log) sequence_log->sync();
    save(folder, result);
  };
  // What another step would find out.
  const auto check_values = [&](std::int64_t step) {
    if (!std::isfinite(global_norm(values_of_all_))) {
      fail_as_not_finite("the updated parameters are", {step, folder, result});
    }
  };
  if (!folder.empty() && resume && done == total_steps_) save_now();

  Progress progress("train", total_steps_, "tok", options_.quiet || !ranks_.is_first(), stderr, done);
  double tokens = 0.0;  // of this process
  auto last_save = Clock::now();
  const auto is_due = [&] { return options_.save_every > 0.0 && seconds_since(last_save) >= options_.save_every; };
  for (std::int64_t s = done; s < total_steps_ && !result.interrupted; ++s) {
    const Phase& phase = phases_[phase_of(s)];
    const bool begins = s == phase.first_step;
    if ((begins || s == done) && !begin_phase(phase_of(s), begins)) {
      result.interrupted = true;
      if (folder.empty() || s == done) break;  // nothing is new
      check_values(s);
      save_now();
      break;
    }
    const auto batch = batch_of_step(s);
    moment_.step = s;
    // The first step has a rate above zero: step s of n uses the factor of s + 1 in n + 1.
    const double lr = options_.lr * learning_rate_factor(s - phase.first_step + 1, phase.steps + 1, options_.warmup);
    save_is_due_ = ranks_.is_first() && is_due();
    StepMetrics metrics = step(batch, lr);
    metrics.step = s + 1;
    const Place here{s + 1, folder, result};
    if (!std::isfinite(metrics.loss)) fail_as_not_finite("the loss is", here);
    if (!std::isfinite(metrics.gradient_norm)) fail_as_not_finite("the gradient is", here);
    result.steps.push_back(metrics);
    tokens += static_cast<double>(metrics.tokens);
    if (log) log->add(metrics_line(metrics));
    result.interrupted = stops();
    if (!result.interrupted && validation_is_due(s + 1, result)) {
      result.interrupted = !validate(folder, s + 1, result, validation_log);
    }
    progress.update(s + 1, tokens, describe(metrics, result.validation));
    const bool scores = !result.interrupted && scoring_is_due(s + 1, result);
    const bool last = s + 1 == total_steps_ || result.interrupted;
    const bool due = ranks_.size() == 1 ? is_due() : agreed_.save;
    const bool ends = result.interrupted || (last && options_.save_at_end);
    const bool saves = !folder.empty() && ((ranks_.size() == 1 && take_save_request()) || ends || due);
    if (last || saves || scores) check_values(s + 1);
    if (saves) save_now();
    if (scores) result.interrupted = !score_tasks(result, sequence_log);
    const bool saves_scores = scores && !folder.empty() &&
                              (ends || result.interrupted || (options_.save_every > 0.0 && options_.save_at_end));
    if (saves_scores) save_now();
    if (saves || saves_scores) last_save = Clock::now();
  }
  progress.finish();
  keep_best(result);
  return result;
}

}  // namespace csreft
