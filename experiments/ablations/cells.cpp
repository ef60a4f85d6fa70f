#include "experiments/ablations/cells.h"

#include <algorithm>
#include <tuple>

#include "core/base/atomic_file.h"
#include "core/base/json_file.h"
#include "core/base/process_lock.h"
#include "experiments/cli/progress.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/scores.h"

namespace csreft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

Cell read_summary(const json& summary, const std::string& where) {
  Cell cell{.variant = {},
            .seed = summary.at("seed").get<std::uint64_t>(),
            .trainable_parameters = summary.at("trainable_parameters").get<std::int64_t>(),
            .percent = summary.at("trainable_percent").get<double>(),
            .percent_without_router = summary.at("trainable_percent_without_router").get<double>(),
            .tokens_per_second = summary.at("tokens_per_second").get<double>(),
            .seconds = summary.at("training_seconds").get<double>(),
            .peak_memory_bytes = summary.at("peak_memory_bytes").get<std::size_t>(),
            .scores = parse_tasks(summary.at("tasks"), where),
            .elsewhere = find_json<double>(summary, "elsewhere", where),
            .steps = {},
            .summary = summary};
  const json& gates = summary.at("gates");
  for (auto& score : cell.scores) {
    if (gates.contains(score.task)) score.mean_gates = gates.at(score.task).get<std::vector<double>>();
  }
  if (summary.contains("router")) {
    const json& router = summary["router"];
    cell.router = {router.at("normalised_mutual_information").get<double>(), router.at("dead_share").get<double>(),
                   router.at("mean_overlap").get<double>()};
  }
  cell.orthonormality_error = find_json<double>(summary, "orthonormality_error", where);
  return cell;
}

// What config.json says of a cell beside what every run's says.
json describe(const Variant& variant) { return {{"variant", variant.name}, {"tasks", variant.tasks}}; }

void check_options(const RunConfig& was, const fs::path& folder, const Variant& is) {
  json there = to_json(was.method), here = to_json(is.method);
  there.update(to_json(was.train));
  here.update(to_json(is.train));
  const json config = read_json_object(folder / "config.json");
  // Cells of earlier versions learn all tasks, and do not say so.
  there["tasks in order"] = config.contains("cell") ? config["cell"].value("tasks", json()) : json::array();
  here["tasks in order"] = is.tasks;
  const std::string difference = first_difference(there, here);
  require(difference.empty(), "{} is a run with other options than {} now has ({}): expected another --out",
          folder.string(), is.name, difference);
}

// Nothing if the run has not come to its end.
std::optional<Cell> read_finished(const fs::path& folder, const std::string& variant, const RunConfig& config) {
  const auto file = folder / "summary.json";
  if (!fs::exists(file)) return std::nullopt;
  json summary;
  try {
    summary = read_json_object(file);
  } catch (const Error&) {
    // Until just now; another process begins the cell anew.
    if (!fs::exists(file)) return std::nullopt;
    throw;
  }
  try {
    if (summary.at("interrupted").get<bool>()) return std::nullopt;
    Cell cell = read_summary(summary, file.string());
    cell.variant = variant;
    cell.lr = config.train.lr;
    cell.answers = read_answers(folder);
    if (fs::exists(folder / "metrics.jsonl")) cell.steps = read_metrics(folder / "metrics.jsonl");
    return cell;
  } catch (const json::exception& error) {
    fail("{} is not the summary of a run: {}", file.string(), error.what());
  }
}

// Whether there is a state to go on from.
bool can_go_on(const fs::path& where) { return holds_run(where) && fs::exists(where / "state.safetensors"); }

// Nothing where another process has the folder, or has changed before this one had it what is to be done there.
std::optional<RunFolder> take(const fs::path& where, bool resume) {
  try {
    RunFolder folder = resume ? RunFolder::reopen(where) : RunFolder::take(where, Replace::unfinished);
    if (holds_finished_run(where) || can_go_on(where) != resume) return std::nullopt;
    return folder;
  } catch (const FolderInUse&) {
    return std::nullopt;
  } catch (const Error&) {
    // Half made, it is no run's yet: then whoever makes it has it.
    if (holds_finished_run(where) || is_locked(where)) return std::nullopt;
    throw;
  }
}

std::string config_of(const Variant& variant, const Setting& setting) {
  DataFiles files = setting.files;
  if (variant.data) files = {{}, {}, {}, variant.data->train, variant.data->test};
  json config =
      json::parse(config_text("ablate", setting.arguments, variant.method, variant.train, setting.model, files));
  config["cell"] = describe(variant);
  return config.dump(2) + "\n";
}

// Mean nll a token of text that is none of the tasks. Where an example's task decides the gates, the mean over all
// tasks; nothing after a signal.
std::optional<double> score_elsewhere(const LanguageModel& model, const Method* method, const Setting& setting) {
  if (!setting.elsewhere || interrupted()) return std::nullopt;
  EvaluationOptions options = setting.evaluation;
  options.metric = "nll";
  const Routing* routing = method != nullptr ? method->routing() : nullptr;
  std::vector<std::string> labels{""};
  if (routing != nullptr && !routing->tasks().empty()) labels.assign(routing->tasks().begin(), routing->tasks().end());
  double sum = 0.0;
  for (const auto& label : labels) {
    options.task = label;
    sum += evaluate(model, method, *setting.elsewhere, options).value;
  }
  if (interrupted()) return std::nullopt;
  return sum / static_cast<double>(labels.size());
}

json untrained_summary(const Variant& variant, const std::vector<TaskScore>& scores, const Setting& setting) {
  return {{"method", variant.method.method},
          {"model", setting.model.name},
          {"trainable_parameters", 0},
          {"trainable_percent", 0.0},
          {"trainable_percent_without_router", 0.0},
          {"tokens_per_second", 0.0},
          {"training_seconds", 0.0},
          {"peak_memory_bytes", 0},
          {"train_loss", json::array()},
          {"tasks", tasks_json(scores)},
          {"gates", json::object()},
          {"interrupted", interrupted()},
          {"seed", variant.train.seed}};
}

json run_untrained(const Variant& variant, const TaskSet& tasks, const Setting& setting) {
  fmt::print("\n");
  const auto scores = score_untrained(setting.model, tasks.test, setting.evaluation);
  print_scores(variant.name, scores);
  write_answers(cell_folder(setting.folder, variant), answers_of(scores, tasks.test));
  json summary = untrained_summary(variant, scores, setting);
  if (const auto nll = score_elsewhere(setting.model, nullptr, setting)) summary["elsewhere"] = *nll;
  return summary;
}

// What the method learns of the prompts alone, as the training begins with it.
void show_prompts(const LanguageModel& model, Method& method, const TaskSet& tasks, const TrainOptions& train) {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto& task : tasks.train) {
    for (const auto& example : task.examples) {
      const auto turns = encode_turns(model, example, train.system, train.max_length, train.learnt_turns());
      for (const auto& turn : turns) prompts.push_back(prompt_of(turn));
    }
  }
  static_cast<void>(method.prepare(prompts));
}

// What the variant measures of its method before the training. That of a cell that goes on was kept.
json measure_before(const Variant& variant, const LanguageModel& model, const TaskSet& tasks, const fs::path& folder) {
  const auto file = folder / "measured.json";
  if (fs::exists(file)) return read_json_object(file);
  const auto method = create_method(variant.method, model.llama, variant.train.seed);
  show_prompts(model, *method, tasks, variant.train);
  json measured = variant.measure(model, *method, tasks);
  write_file_atomically(file, measured.dump() + "\n");
  return measured;
}

json run_method(const Variant& variant, const TaskSet& tasks, const LanguageModel& model, const Setting& setting,
                const fs::path& folder, bool resume) {
  json measured = json::object();
  if (variant.measure != nullptr) measured["before"] = measure_before(variant, model, tasks, folder);
  const std::shared_ptr<Method> method = create_method(variant.method, model.llama, variant.train.seed);
  Trainer trainer(model, *method, tasks.train, variant.train);
  MethodRun run = start_run(variant.name, method);
  std::string diverged;
  try {
    train_and_score(run, trainer, model, tasks.test, setting.evaluation, folder, resume);
  } catch (const TrainingDiverged& error) {
    // A result, too: of a rate that is too large. The method holds its last finite values.
    diverged = error.what();
    fmt::print("note: {}\n", diverged);
    for (const auto& test : tasks.test) run.scores.push_back(evaluate(model, method.get(), test, setting.evaluation));
    run.answers = answers_of(run.scores, tasks.test);
    write_answers(folder, run.answers);
    run.result.steps = read_metrics(folder / "metrics.jsonl");
    run.result.interrupted = interrupted();
  }
  json summary = summary_json(model, run, variant.train);
  if (run.result.interrupted) return summary;
  if (!diverged.empty()) summary["diverged"] = diverged;
  if (const auto nll = score_elsewhere(model, method.get(), setting)) summary["elsewhere"] = *nll;
  if (variant.measure != nullptr && !interrupted()) {
    measured["after"] = variant.measure(model, *method, tasks);
    summary["measured"] = std::move(measured);
  }
  summary["interrupted"] = interrupted();
  return summary;
}

void remove_weights(const fs::path& folder) {
  std::error_code ignored;
  for (const char* name : {"adapter", "state.safetensors"}) fs::remove_all(folder / name, ignored);
}

}  // namespace

TaskSet tasks_of(const Variant& variant, const Setting& setting) {
  TaskSet tasks = variant.data ? *variant.data : setting.tasks;
  if (variant.tasks.empty()) return tasks;
  std::vector<Task> chosen;
  for (const std::size_t t : variant.tasks) chosen.push_back(tasks.train.at(t));
  tasks.train = std::move(chosen);
  return tasks;
}

std::vector<std::string> metrics_of(const Cell& cell) {
  std::vector<std::string> metrics;
  for (const auto& score : cell.scores) {
    if (std::ranges::find(metrics, score.metric) == metrics.end()) metrics.push_back(score.metric);
  }
  return metrics;
}

std::optional<double> mean_gate(const Cell& cell) {
  double sum = 0.0, prompts = 0.0;
  for (const auto& score : cell.scores) {
    if (score.mean_gates.empty()) continue;
    const auto n = static_cast<double>(score.n);
    for (const double gate : score.mean_gates) sum += n * gate / static_cast<double>(score.mean_gates.size());
    prompts += n;
  }
  return prompts > 0.0 ? std::optional(sum / prompts) : std::nullopt;
}

std::optional<Cell> read_cell(const fs::path& folder, const Variant& variant) {
  if (!fs::exists(folder / "config.json")) return std::nullopt;
  const RunConfig config = read_config(folder, "ablate");
  check_options(config, folder, variant);
  return read_finished(folder, variant.name, config);
}

fs::path cell_folder(const fs::path& folder, const Variant& variant) {
  return folder / fmt::format("{}-{}", variant.name, variant.train.seed);
}

std::vector<Cell> read_cells(const fs::path& folder, std::span<const Variant> variants) {
  std::vector<Cell> cells;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const std::size_t dash = name.rfind('-');
    if (dash == std::string::npos || !fs::exists(entry.path() / "config.json")) continue;
    const RunConfig config = read_config(entry.path(), "ablate");
    if (auto cell = read_finished(entry.path(), name.substr(0, dash), config)) cells.push_back(std::move(*cell));
  }
  const auto place = [&](const Cell& cell) {
    return std::tuple(cell.seed, std::ranges::find(variants, cell.variant, &Variant::name) - variants.begin(),
                      cell.variant);
  };
  std::ranges::sort(cells, {}, place);
  return cells;
}

void check_variant(Variant& variant, const Setting& setting) {
  const TaskSet tasks = tasks_of(variant, setting);
  if (is_untrained(variant.method)) {
    for (const auto& task : tasks.test) check_task(setting.model, nullptr, task, setting.evaluation);
    return;
  }
  const auto check = [&](const LanguageModel& model) {
    const auto method = create_method(variant.method, model.llama, variant.train.seed);
    variant.method = method->options();
    const Trainer trainer(model, *method, tasks.train, variant.train);
    for (const auto& task : tasks.test) check_task(model, method.get(), task, setting.evaluation);
  };
  if (trains_model(variant.method)) {
    check(setting.model_flags.load(/*trainable=*/true));
  } else {
    check(setting.model);
  }
}

bool run_cell(const Variant& variant, const Setting& setting, const std::string& number) {
  const fs::path where = cell_folder(setting.folder, variant);
  const bool resume = can_go_on(where);
  std::optional<RunFolder> folder = take(where, resume);
  if (!folder) return false;
  if (!resume) folder->begin(config_of(variant, setting));
  fmt::print("\n{}{}, seed {}", number, variant.name, variant.train.seed);
  const TaskSet tasks = tasks_of(variant, setting);
  const bool alters_model = !is_untrained(variant.method) && trains_model(variant.method);
  json summary;
  if (is_untrained(variant.method)) {
    summary = run_untrained(variant, tasks, setting);
  } else if (alters_model) {
    const LanguageModel own = setting.model_flags.load(/*trainable=*/true);
    Variant unsaved = variant;
    unsaved.train.save_at_end = false;
    summary = run_method(unsaved, tasks, own, setting, where, resume);
  } else {
    summary = run_method(variant, tasks, setting.model, setting, where, resume);
  }
  write_summary(where, summary);
  if (alters_model && !summary.at("interrupted").get<bool>()) remove_weights(where);
  return true;
}

}  // namespace csreft
