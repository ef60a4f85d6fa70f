#include "experiments/training/run_folder.h"

#include <chrono>
#include <ctime>
#include <fstream>

#include <sys/resource.h>

#include "core/base/atomic_file.h"
#include "core/base/folder.h"
#include "core/base/json_file.h"
#include "core/base/threads.h"
#include "core/device/device_info.h"
#include "experiments/cli/progress.h"
#include "reft/interference.h"
#include "reft/presets.h"

namespace csreft {

using nlohmann::json;

namespace {

// Calls visit(key, member) for every option that config.json keeps: the one list from which both directions are made.
template <typename Options, typename Visit>
void for_each_option(Options& o, Visit&& visit) {
  visit("batch", o.batch);
  visit("epochs", o.epochs);
  visit("lr", o.lr);
  visit("router_lr", o.router_lr);
  visit("stiefel_lr", o.stiefel_lr);
  visit("beta2", o.beta2);
  visit("warmup", o.warmup);
  visit("clip", o.clip);
  visit("weight_decay", o.weight_decay);
  visit("optimizer", o.optimizer);
  visit("retraction", o.retraction);
  visit("seed", o.seed);
  visit("max_length", o.max_length);
  visit("tokens_per_pass", o.tokens_per_pass);
  visit("max_steps", o.max_steps);
  visit("system", o.system);
}

std::vector<std::vector<double>> rows_of(const Tensor& matrix) {
  std::vector<std::vector<double>> rows;
  for (std::int64_t i = 0; i < matrix.rows(); ++i) {
    const auto row = matrix.slice(i, i + 1);
    rows.emplace_back(row.span<double>().begin(), row.span<double>().end());
  }
  return rows;
}

// Nothing of it must be taken for a part of the run that begins now.
void remove_former_run(const std::filesystem::path& folder) {
  fmt::print("note: this replaces the run that is in {}\n", folder.string());
  std::error_code ignored;
  for (const char* name : {"summary.json", "metrics.jsonl", "report.html", "state.safetensors", "adapter"}) {
    std::filesystem::remove_all(folder / name, ignored);
  }
}

Tensor overlap_of(const MethodRun& run) { return subspace_overlap(run.method->bases(), run.options.subspaces); }

double percent_of_base(std::int64_t parameters, const LanguageModel& model) {
  return 100.0 * static_cast<double>(parameters) / static_cast<double>(parameter_count(model.llama.config()));
}

}  // namespace

json to_json(const TrainOptions& options) {
  json out;
  for_each_option(options, [&](const char* key, const auto& value) { out[key] = value; });
  return out;
}

std::filesystem::path default_run_folder(std::string_view name) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  return std::filesystem::path("runs") / fmt::format("{}-{}", name, stamp);
}

void reset_peak_run_memory(const Device& device) {
  if (device.type == DeviceType::cuda) return reset_peak_memory(device);
  std::ofstream("/proc/self/clear_refs") << "5";
}

std::size_t peak_run_memory(const Device& device) {
  if (device.type == DeviceType::cuda) return device_memory(device).peak;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

void write_config(const std::filesystem::path& folder, std::string_view experiment, Arguments arguments,
                  const MethodOptions& method, const TrainOptions& train) {
  const json config{
      {"experiment", experiment},  {"arguments", std::vector<std::string>(arguments.begin(), arguments.end())},
      {"method", to_json(method)}, {"train", to_json(train)},
      {"threads", threads()},      {"started_in", std::filesystem::current_path().string()}};
  const std::string text = config.dump(2) + "\n";
  const bool is_new = !std::filesystem::exists(folder), replaces = std::filesystem::exists(folder / "config.json");
  make_folder(folder);
  try {
    write_file_atomically(folder / "config.json", text);
    if (replaces) remove_former_run(folder);
  } catch (const Error&) {
    std::error_code ignored;
    if (is_new) std::filesystem::remove(folder, ignored);
    throw;
  }
}

RunConfig read_config(const std::filesystem::path& folder, std::string_view experiment) {
  const auto file = folder / "config.json";
  const json config = read_json_object(file);
  const std::string where = file.string();
  const auto kind = get_json<std::string>(config, "experiment", where);
  require(kind == experiment, "{} is a run of {}, expected one of {}", folder.string(), kind, experiment);
  for (const char* key : {"arguments", "method", "train"}) {
    require(config.contains(key), "{}: `{}` is missing", where, key);
  }
  RunConfig out;
  try {
    out.arguments = config["arguments"].get<std::vector<std::string>>();
  } catch (const json::exception&) {
    fail("{}: `arguments` is not a list of strings", where);
  }
  out.threads = find_json<std::int64_t>(config, "threads", where).value_or(0);
  out.started_in = find_json<std::string>(config, "started_in", where).value_or("");
  out.method = parse_method_options(config["method"], where);
  for_each_option(out.train,
                  [&]<typename T>(const char* key, T& value) { value = get_json<T>(config["train"], key, where); });
  return out;
}

json tasks_json(const std::vector<TaskScore>& scores) {
  json tasks = json::object();
  for (const auto& s : scores) {
    if (s.n > 0) tasks[s.task] = {{s.metric, s.value}, {"n", s.n}};
  }
  return tasks;
}

json gates_json(const std::vector<TaskScore>& scores) {
  json gates = json::object();
  for (const auto& s : scores) {
    if (!s.mean_gates.empty()) gates[s.task] = s.mean_gates;
  }
  return gates;
}

RouterMeasures router_measures(const std::vector<TaskScore>& scores, const Tensor& overlap) {
  std::vector<std::vector<std::int64_t>> chosen;
  std::vector<std::vector<double>> gates;
  std::vector<std::int64_t> examples;
  for (const auto& s : scores) {
    if (s.mean_gates.empty()) continue;
    chosen.push_back(s.chosen);
    gates.push_back(s.mean_gates);
    examples.push_back(s.n);
  }
  return {normalised_mutual_information(chosen), dead_share(gates, examples), mean_overlap(overlap)};
}

RunReport::GateHistory gate_history(const std::string& label, std::span<const StepMetrics> steps) {
  RunReport::GateHistory history{.method = label, .steps = {}};
  for (const auto& step : steps) history.steps.push_back(step.gates);
  return history;
}

MethodRun start_run(const std::string& label, const std::shared_ptr<const Method>& method) {
  return {.label = label, .method = method, .options = method->options(), .parameters = count_parameters(*method)};
}

void train_and_score(MethodRun& run, Trainer& trainer, const LanguageModel& model, std::span<const Task> tests,
                     const EvaluationOptions& evaluation, const std::filesystem::path& folder, bool resume) {
  const std::int64_t in_router = run.parameters.total - run.parameters.without_router;
  fmt::print("\n{}: {} trainable parameters{}, {} step{}\n", run.label, run.parameters.total,
             in_router > 0
                 ? fmt::format(" ({} in the edits, {} in the router)", run.parameters.without_router, in_router)
                 : "",
             trainer.total_steps(), trainer.total_steps() == 1 ? "" : "s");
  for (const auto& notice : trainer.notices()) fmt::print("note: {}\n", notice);
  std::fflush(stdout);
  const Device device = model.llama.options().device;
  reset_peak_run_memory(device);
  run.result = trainer.run(folder, resume);
  run.peak_memory_bytes = peak_run_memory(device);
  for (const auto& task : tests) {
    if (!interrupted()) run.scores.push_back(evaluate(model, run.method.get(), task, evaluation));
  }
  run.result.interrupted = run.result.interrupted || interrupted();
  print_scores(run.label, run.scores);
}

json summary_json(const LanguageModel& model, const MethodRun& run, const TrainOptions& train) {
  json summary = {{"method", run.options.method},
                  {"model", model.name},
                  {"trainable_parameters", run.parameters.total},
                  {"trainable_parameters_without_router", run.parameters.without_router},
                  {"trainable_percent", percent_of_base(run.parameters.total, model)},
                  {"trainable_percent_without_router", percent_of_base(run.parameters.without_router, model)},
                  {"tokens_per_second", run.result.tokens_per_second()},
                  {"training_seconds", run.result.seconds()},
                  {"peak_memory_bytes", run.peak_memory_bytes},
                  {"train_loss", run.result.losses()},
                  {"train_cross_entropy", run.result.cross_entropies()},
                  {"steps", run.result.steps.size()},
                  {"tasks", tasks_json(run.scores)},
                  {"gates", gates_json(run.scores)},
                  {"options", to_json(run.options)},
                  {"interrupted", run.result.interrupted},
                  {"seed", train.seed}};
  if (run.options.method == "csreft") summary["preset"] = preset_name(run.options, train.router_lr);
  if (!summary["gates"].empty()) {
    const Tensor overlap = overlap_of(run);
    const RouterMeasures measures = router_measures(run.scores, overlap);
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

void add_to_report(RunReport& report, const LanguageModel& model, const MethodRun& run) {
  report.methods.push_back({.name = run.label,
                            .trainable_parameters = run.parameters.total,
                            .percent = percent_of_base(run.parameters.total, model),
                            .percent_without_router = percent_of_base(run.parameters.without_router, model),
                            .tokens_per_second = run.result.tokens_per_second(),
                            .seconds = run.result.seconds(),
                            .peak_memory_bytes = run.peak_memory_bytes,
                            .train_loss = run.result.cross_entropies()});
  add_scores(report, run.label, run.scores);
  RunReport::Gates gates{.method = run.label, .tasks = {}, .mean_alpha = {}};
  for (const auto& s : run.scores) {
    if (s.mean_gates.empty()) continue;
    gates.tasks.push_back(s.task);
    gates.mean_alpha.push_back(s.mean_gates);
  }
  if (!gates.tasks.empty()) {
    report.gates.push_back(std::move(gates));
    report.routers.push_back({run.label, router_measures(run.scores, overlap_of(run))});
  }
  if (!run.result.steps.empty() && !run.result.steps.front().gates.empty()) {
    report.gate_histories.push_back(gate_history(run.label, run.result.steps));
  }
  report.interrupted = report.interrupted || run.result.interrupted;
}

RunReport start_report(const std::string& title, const std::string& command, const LanguageModel& model,
                       std::uint64_t seed) {
  RunReport report;
  report.title = title;
  report.command = command;
  report.model = model.name;
  report.facts = {{"device", "cpu"}, {"threads", std::to_string(threads())}, {"seed", std::to_string(seed)}};
  return report;
}

void print_scores(const std::string& label, const std::vector<TaskScore>& scores) {
  std::size_t accuracies = 0;
  for (const auto& s : scores) {
    if (s.n == 0) continue;
    fmt::print("{:<12} {:<24} {} {:.3f}  (n = {})", label, s.task, s.metric, s.value, s.n);
    if (!s.mean_gates.empty()) fmt::print("  gates {:.2f}", fmt::join(s.mean_gates, " "));
    fmt::print("\n");
    accuracies += s.metric == "accuracy" ? 1 : 0;
  }
  if (accuracies > 1) {
    fmt::print("{:<12} {:<24} accuracy {:.3f}\n", label, "mean", mean_score(scores, "accuracy"));
  }
  std::fflush(stdout);
}

}  // namespace csreft
