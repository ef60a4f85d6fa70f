#include "experiments/training/run.h"

#include <cstdio>

#include "experiments/cli/progress.h"
#include "experiments/measure/peak_memory.h"
#include "experiments/training/scores.h"

namespace csreft {

namespace {

// The rank of the method's subspaces, by itself or in a sum ("csreft.rank").
std::string rank_of_subspaces(const MethodOptions& options) {
  constexpr std::string_view name = "subspaces";
  for (const auto& [key, value] : options.values.items()) {
    if (!key.ends_with(name)) continue;
    const std::string rank = key.substr(0, key.size() - name.size()) + "rank";
    if (options.contains(rank)) return fmt::format(" of rank {}", options.at(rank).dump());
  }
  return "";
}

std::int64_t n_examples(std::span<const TaskScore> scores) {
  std::int64_t n = 0;
  for (const auto& score : scores) n += score.n;
  return n;
}

}  // namespace

MethodRun start_run(const std::string& label, const std::shared_ptr<const Method>& method) {
  return {.label = label, .method = method, .options = method->options(), .parameters = count_parameters(*method)};
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
                     const EvaluationOptions& evaluation, const std::filesystem::path& folder, bool resume) {
  const std::string parts = run.parameters.parts();
  fmt::print("\n{}: {} trainable parameters{}, {} step{}\n", run.label, run.parameters.total,
             parts.empty() ? "" : fmt::format(" ({})", parts), trainer.total_steps(),
             trainer.total_steps() == 1 ? "" : "s");
  if (const Routing* routing = run.method->routing(); routing != nullptr && routing->subspaces() > 1) {
    fmt::print("note: {0} subspaces{1} have {0} times the parameters of one\n", routing->subspaces(),
               rank_of_subspaces(run.options));
  }
  for (const auto& notice : trainer.notices()) fmt::print("note: {}\n", notice);
  std::fflush(stdout);
  const Device device = model.llama.options().device;
  reset_peak_run_memory(device);
  run.total_steps = trainer.total_steps();
  run.result = trainer.run(folder, resume);
  run.peak_memory_bytes = peak_run_memory(device);
  if (const auto& records = run.result.validation; !records.empty()) {
    fmt::print("{:<12} {:<24} {} after step {}{}\n", run.label, "validation", describe(records.back()),
               records.back().step,
               run.result.kept_step > 0 ? fmt::format("; kept: step {}", run.result.kept_step) : "");
  }
  std::vector<TaskScore> scores;
  for (const auto& task : tests) {
    if (!interrupted()) scores.push_back(evaluate(model, run.method.get(), task, evaluation));
  }
  run.result.interrupted = run.result.interrupted || interrupted();
  print_scores(run.label, scores);
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
