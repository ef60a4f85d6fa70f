#include "experiments/training/run.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "experiments/cli/progress.h"
#include "experiments/measure/peak_memory.h"
#include "experiments/training/scores.h"

namespace csreft {

namespace {

std::int64_t n_examples(std::span<const TaskScore> scores) {
  std::int64_t n = 0;
  for (const auto& score : scores) n += score.n;
  return n;
}

std::vector<TaskScore> score_all(const MethodRun& run, const LanguageModel& model, std::span<const Task> tests,
                                 const EvaluationOptions& evaluation) {
  std::vector<TaskScore> scores;
  for (const auto& task : tests) {
    if (!interrupted()) scores.push_back(evaluate(model, run.method.get(), task, evaluation));
  }
  return scores;
}

bool are_whole(std::span<const TaskScore> scores, std::span<const Task> tests, const EvaluationOptions& evaluation) {
  if (scores.size() < tests.size()) return false;
  for (std::size_t t = 0; t < tests.size(); ++t) {
    const std::int64_t all = std::ssize(tests[t].examples);
    if (scores[t].n < (evaluation.max_examples > 0 ? std::min(all, evaluation.max_examples) : all)) return false;
  }
  return true;
}

nlohmann::json skipped_json(const Trainer& trainer, std::span<const Task> tests) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [task, skipped] : trainer.skipped()) {
    if (skipped.total() > 0) out["train"][task] = to_json(skipped);
  }
  for (const auto& test : tests) {
    if (test.skipped.total() > 0) out["test"][test.name] = to_json(test.skipped);
  }
  return out;
}

// The scores after the last task of a sequence, once they are known.
using LastScores = std::optional<std::vector<TaskScore>>;

// Has the trainer score all tasks after each, with gates for the last.
void score_sequence(MethodRun& run, Trainer& trainer, const LanguageModel& model, std::span<const Task> tests,
                    const EvaluationOptions& evaluation, LastScores& last) {
  check_sequence(trainer.sequence(), tests, evaluation.metric);
  run.sequence = trainer.sequence();
  EvaluationOptions quiet = evaluation;
  quiet.quiet = true;  // the training's own progress goes on
  trainer.after_each_task([&run, &model, &last, tests, quiet](std::size_t task) {
    auto scores = std::optional(score_all(run, model, tests, quiet));
    if (!are_whole(*scores, tests, quiet)) scores.reset();
    if (task + 1 == run.sequence.size()) last = scores;
    return scores;
  });
}

}  // namespace

MethodRun start_run(const std::string& label, const std::shared_ptr<const Method>& method) {
  return {.label = label, .method = method, .options = method->options(), .parameters = count_parameters(*method)};
}

SequenceMatrix matrix_of(const MethodRun& run) {
  return sequence_matrix(run.sequence, run.result.sequence, run.untrained);
}

std::vector<TaskScore> score_untrained(const LanguageModel& model, std::span<const Task> tests,
                                       const EvaluationOptions& options) {
  std::vector<TaskScore> scores;
  for (const auto& test : tests) {
    if (!interrupted()) scores.push_back(evaluate(model, nullptr, test, options));
  }
  return scores;
}

void train_and_score(MethodRun& run, Trainer& trainer, const LanguageModel& model, std::span<const Task> tests,
                     const EvaluationOptions& evaluation, const std::filesystem::path& folder, bool resume,
                     ScoreLines lines) {
  const std::string parts = run.parameters.parts();
  fmt::print("\n{}: {} trainable parameters{}, {} step{}\n", run.label, run.parameters.total,
             parts.empty() ? "" : fmt::format(" ({})", parts), trainer.total_steps(),
             trainer.total_steps() == 1 ? "" : "s");
  for (const auto& notice : trainer.notices()) fmt::print("note: {}\n", notice);
  std::fflush(stdout);
  const Device device = model.llama.options().device;
  reset_peak_run_memory(device);
  LastScores last;
  if (!trainer.sequence().empty() && !tests.empty()) score_sequence(run, trainer, model, tests, evaluation, last);
  run.total_steps = trainer.total_steps();
  run.skipped = skipped_json(trainer, tests);
  run.result = trainer.run(folder, resume);
  if (!trainer.ranks().is_first()) return;
  run.peak_memory_bytes = peak_run_memory(device);
  if (const auto& records = run.result.validation; !records.empty()) {
    fmt::print("{:<12} {:<24} {} after step {}{}\n", run.label, "validation", describe(records.back()),
               records.back().step,
               run.result.kept_step > 0 ? fmt::format("; kept: step {}", run.result.kept_step) : "");
  }
  if (lines == ScoreLines::leave && !run.result.interrupted && !interrupted()) {
    fmt::print("{}: scoring the answers\n", run.label);
    std::fflush(stdout);
  }
  std::vector<TaskScore> scores;
  if (last) {
    scores = *std::move(last);
  } else if (!run.result.interrupted) {
    scores = score_all(run, model, tests, evaluation);
  }
  run.result.interrupted = run.result.interrupted || interrupted();
  if (lines == ScoreLines::print) print_scores(run.label, scores);
  if (!run.result.sequence.empty()) print_sequence(run.label, matrix_of(run));
  if (n_examples(scores) < n_examples(run.scores)) {
    fmt::print("the scores of step {} stay: {} examples were scored after step {}\n", run.scored_step,
               n_examples(scores) == 0 ? "no" : "fewer", run.result.steps.size());
    run.answers = read_answers(folder);
    return;
  }
  run.scores = std::move(scores);
  run.answers = answers_of(run.scores, tests);
  write_answers(folder, run.answers);
  run.scored_step = std::ssize(run.result.steps);
}

}  // namespace csreft
