#include "experiments/training/summary.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "core/base/atomic_file.h"
#include "core/base/threads.h"
#include "core/base/version.h"
#include "experiments/measure/bench_machine.h"
#include "experiments/training/config.h"
#include "experiments/training/scores.h"
#include "reft/presets.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {

using nlohmann::json;

namespace {

std::vector<std::vector<double>> rows_of(const Tensor& matrix) {
  std::vector<std::vector<double>> rows;
  for (std::int64_t i = 0; i < matrix.rows(); ++i) {
    const auto row = matrix.slice(i, i + 1);
    rows.emplace_back(row.span<double>().begin(), row.span<double>().end());
  }
  return rows;
}

Tensor overlap_of(const MethodRun& run) {
  const Routing& routing = *run.method->routing();
  return subspace_overlap(routing.bases(), routing.subspaces());
}

// How far R is from orthonormal, at the worst of the method's places; nothing for a method without such parameters.
std::optional<double> orthonormality_error(const Method& method) {
  std::optional<double> largest;
  for (const auto& p : method.parameters()) {
    if (p.manifold != ParameterManifold::stiefel) continue;
    largest = std::max(largest.value_or(0.0), orthonormality_error(p.value.value(), p.block_rows));
  }
  return largest;
}

// What is learnt without gradients and kept in the adapter.
std::int64_t kept_numbers(const Method& method) {
  std::int64_t n = 0;
  for (const auto& [name, tensor] : method.buffers()) n += tensor.numel();
  return n;
}

double percent_of_base(std::int64_t parameters, const LanguageModel& model) {
  return 100.0 * static_cast<double>(parameters) / static_cast<double>(parameter_count(model.llama.config()));
}

}  // namespace

RouterMeasures router_measures(const std::vector<TaskScore>& scores, const Tensor& overlap, std::int64_t shared) {
  std::vector<std::vector<std::int64_t>> chosen;
  std::vector<std::vector<double>> gates;
  std::vector<std::int64_t> examples;
  for (const auto& s : scores) {
    if (s.mean_gates.empty()) continue;
    chosen.push_back(s.chosen);
    gates.push_back(s.mean_gates);
    examples.push_back(s.n);
  }
  return {normalised_mutual_information(chosen), dead_share(gates, examples, shared), mean_overlap(overlap)};
}

RunReport::GateHistory gate_history(const std::string& label, std::span<const StepMetrics> steps) {
  RunReport::GateHistory history{.method = label, .steps = {}};
  for (const auto& step : steps) history.steps.push_back(step.gates);
  return history;
}

json summary_json(const LanguageModel& model, const MethodRun& run, const TrainOptions& train) {
  json summary = {{"method", run.options.method},
                  {"model", model.name},
                  {"trainable_parameters", run.parameters.total},
                  {"trainable_parameters_without_router", run.parameters.without_router()},
                  {"trainable_parts",
                   {{"edits", run.parameters.edits},
                    {"router", run.parameters.router},
                    {"adapters", run.parameters.adapters},
                    {"model", run.parameters.model}}},
                  {"kept_numbers", kept_numbers(*run.method)},
                  {"trainable_percent", percent_of_base(run.parameters.total, model)},
                  {"trainable_percent_without_router", percent_of_base(run.parameters.without_router(), model)},
                  {"tokens_per_second", run.result.tokens_per_second()},
                  {"training_seconds", run.result.seconds()},
                  {"peak_memory_bytes", run.peak_memory_bytes},
                  {"train_loss", run.result.losses()},
                  {"train_cross_entropy", run.result.cross_entropies()},
                  {"steps", run.result.steps.size()},
                  {"tasks", tasks_json(run.scores)},
                  {"gates", gates_json(run.scores)},
                  {"chosen", chosen_json(run.scores)},
                  {"scored_step", run.scored_step},
                  {"options", to_json(run.options)},
                  {"interrupted", run.result.interrupted},
                  {"device", to_string(model.llama.options().device)},
                  {"hardware", hardware_name(model.llama.options().device)},
                  {"seed", train.seed}};
  if (!run.skipped.empty()) summary["skipped"] = run.skipped;
  if (!run.untrained.empty()) summary["untrained"] = tasks_json(run.untrained);
  if (!run.result.validation.empty()) {
    summary["validation"] = json::array();
    for (const auto& record : run.result.validation) summary["validation"].push_back(to_json(record));
  }
  if (!run.result.sequence.empty()) summary["sequence"] = to_json(matrix_of(run));
  if (const auto error = orthonormality_error(*run.method)) summary["orthonormality_error"] = *error;
  if (run.total_steps > 0) summary["total_steps"] = run.total_steps;
  if (run.result.kept_step > 0) summary["kept_step"] = run.result.kept_step;
  summary["preset"] = preset_name(run.options, to_json(train));
  if (!summary["gates"].empty()) {
    const Tensor overlap = overlap_of(run);
    const RouterMeasures measures = router_measures(run.scores, overlap, run.method->routing()->shared());
    summary["router"] = {{"normalised_mutual_information", measures.normalised_mutual_information},
                         {"dead_share", measures.dead_share},
                         {"mean_overlap", measures.mean_overlap},
                         {"overlap", rows_of(overlap)}};
  }
  return summary;
}

void write_summary(const std::filesystem::path& folder, const json& summary) {
  write_file_atomically(folder / "summary.json", summary.dump(2) + "\n");
}

void add_scores(RunReport& report, const std::string& label, const std::vector<TaskScore>& scores) {
  for (const auto& s : scores) {
    if (s.n > 0) report.scores.push_back({s.task, s.metric, label, s.value, s.n});
  }
}

void add_mistakes(RunReport& report, const std::string& label, std::span<const Answer> all) {
  constexpr std::size_t most = 20;
  std::vector<Answer> answers;  // that are right or wrong
  std::ranges::copy_if(all, std::back_inserter(answers),
                       [](const Answer& a) { return find_metric(a.metric).is_share; });
  if (answers.empty()) return;
  std::vector<std::string> tasks;
  std::map<std::string, std::vector<const Answer*>> wrong;
  RunReport::Mistakes mistakes{.method = label, .wrong = 0, .n = std::ssize(answers), .examples = {}};
  for (const auto& answer : answers) {
    if (answer.correct) continue;
    if (!wrong.contains(answer.task)) tasks.push_back(answer.task);
    wrong[answer.task].push_back(&answer);
    ++mistakes.wrong;
  }
  const auto shown = std::min(most, static_cast<std::size_t>(mistakes.wrong));
  for (std::size_t turn = 0; mistakes.examples.size() < shown; ++turn) {
    for (const auto& task : tasks) {
      if (turn >= wrong[task].size() || mistakes.examples.size() == shown) continue;
      const Answer& a = *wrong[task][turn];
      mistakes.examples.push_back({.task = task,
                                   .prompt = a.input.empty() ? a.instruction : a.instruction + "\n" + a.input,
                                   .expected = a.expected,
                                   .output = a.output,
                                   .gates = a.gates});
    }
  }
  report.mistakes.push_back(std::move(mistakes));
}

void add_to_report(RunReport& report, const LanguageModel& model, const MethodRun& run) {
  report.methods.push_back({.name = run.label,
                            .trainable_parameters = run.parameters.total,
                            .percent = percent_of_base(run.parameters.total, model),
                            .percent_without_router = percent_of_base(run.parameters.without_router(), model),
                            .tokens_per_second = run.result.tokens_per_second(),
                            .seconds = run.result.seconds(),
                            .peak_memory_bytes = run.peak_memory_bytes,
                            .train_loss = run.result.cross_entropies()});
  add_scores(report, untrained_label, run.untrained);
  add_scores(report, run.label, run.scores);
  add_mistakes(report, run.label, run.answers);
  if (!run.result.validation.empty()) {
    RunReport::Validation curve{.method = run.label, .steps = {}, .cross_entropy = {}, .kept = run.result.kept_step};
    for (const auto& record : run.result.validation) {
      curve.steps.push_back(record.step);
      curve.cross_entropy.push_back(record.cross_entropy);
    }
    report.validations.push_back(std::move(curve));
  }
  if (!run.result.sequence.empty()) {
    const SequenceMatrix matrix = matrix_of(run);
    report.sequences.push_back({.method = run.label,
                                .metric = matrix.metric,
                                .tasks = matrix.tasks,
                                .scores = matrix.scores,
                                .untrained = matrix.untrained,
                                .measures = transfer_of(matrix)});
  }
  RunReport::Gates gates{.method = run.label, .tasks = {}, .mean_alpha = {}};
  for (const auto& s : run.scores) {
    if (s.mean_gates.empty()) continue;
    gates.tasks.push_back(s.task);
    gates.mean_alpha.push_back(s.mean_gates);
  }
  if (!gates.tasks.empty()) {
    report.gates.push_back(std::move(gates));
    report.routers.push_back(
        {run.label, router_measures(run.scores, overlap_of(run), run.method->routing()->shared())});
  }
  if (!run.result.steps.empty() && !run.result.steps.front().gates.empty()) {
    report.gate_histories.push_back(gate_history(run.label, run.result.steps));
  }
  if (run.scored_step != std::ssize(run.result.steps) && !run.scores.empty()) {
    report.facts.emplace_back("scores of " + run.label, fmt::format("after {} of the {} steps that were done",
                                                                    run.scored_step, run.result.steps.size()));
  }
  report.interrupted = report.interrupted || run.result.interrupted;
}

RunReport start_report(const std::string& title, const std::string& command, const LanguageModel& model,
                       std::optional<std::uint64_t> seed) {
  RunReport report;
  report.title = title;
  report.command = command;
  report.model = model.name;
  const Device device = model.llama.options().device;
  report.facts = {{"device", to_string(device)},
                  {device.type == DeviceType::cpu ? "processor" : "card", hardware_name(device)},
                  {"threads", std::to_string(threads())}};
  if (seed) report.facts.emplace_back("seed", std::to_string(*seed));
  report.facts.emplace_back("version", fmt::format("{} ({})", program_version(), program_commit()));
  return report;
}

}  // namespace csreft
