// Scores a model, with or without an adapter, on tasks.
#include <optional>

#include "experiments/cli/progress.h"
#include "experiments/training/adapted_model.h"
#include "experiments/training/config.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/scores.h"
#include "experiments/training/summary.h"

namespace csreft {
namespace {

// What has an extension is a file, unless a folder of that name is there.
bool names_folder(const std::filesystem::path& out) {
  std::error_code ignored;
  return !out.empty() && (std::filesystem::is_directory(out, ignored) || !out.has_extension());
}

// Where the scores go: a file, or a folder with everything.
struct Place {
  std::unique_ptr<AtomicFile> file;
  std::optional<RunFolder> folder;
};

Place open_place(const std::string& out, bool force) {
  require(!force || names_folder(out), "--force has no effect: expected --out FOLDER beside it");
  if (!names_folder(out)) return {open_output(out), std::nullopt};
  return {nullptr, RunFolder::take(out, force ? Replace::any : Replace::nothing)};
}

nlohmann::json result_json(const LanguageModel& model, const std::vector<std::string>& adapters,
                           const std::vector<TaskScore>& scores, std::span<const Task> tasks) {
  nlohmann::json result{{"model", model.name},
                        {"adapter", fmt::format("{}", fmt::join(adapters, ","))},
                        {"tasks", tasks_json(scores)},
                        {"interrupted", interrupted()}};
  for (const auto& task : tasks) {
    if (task.skipped.total() > 0) result["skipped"]["test"][task.name] = to_json(task.skipped);
  }
  if (auto gates = gates_json(scores); !gates.empty()) result["gates"] = std::move(gates);
  return result;
}

void write_folder(const std::filesystem::path& folder, const AdaptedModel& adapted, const std::string& command,
                  const std::vector<TaskScore>& scores, std::span<const Task> tasks, nlohmann::json summary) {
  const auto answers = answers_of(scores, tasks);
  write_answers(folder, answers);
  RunReport report = start_report(adapted.label + " on " + adapted.model.name, command, adapted.model, std::nullopt);
  if (const auto adapter = summary.at("adapter").get<std::string>(); !adapter.empty()) {
    report.facts.emplace_back("adapter", adapter);
  }
  add_scores(report, adapted.label, scores);
  add_mistakes(report, adapted.label, answers);
  report.interrupted = interrupted();
  write_report(folder / "report.html", report);
  summary["method"] = adapted.label;
  write_summary(folder, summary);
  fmt::print("report: {}\n", (folder / "report.html").string());
}

}  // namespace

int evaluate_model(Arguments arguments) {
  ModelFlags model_flags;
  EvaluationOptions options;
  std::vector<std::string> files;
  DataFlags data;
  AdapterFlags adapter_flags;
  std::string out;
  bool force = false;
  Flags flags(
      "evaluate", "Scores a model, with or without an adapter, on tasks.",
      {"./run evaluate --test sentiment.test.json",
       "./run evaluate --adapter runs/train-20260101-120000/adapter --test a.json --test b.json --out scores.json",
       "./run evaluate --adapter last --test a.json --out runs/checked",
       "./run evaluate --test exam=exam.jsonl.gz --field instruction=question --metric choice",
       "./run evaluate --adapter runs/a/adapter --adapter runs/b/adapter --scale 0.8 --test a.json"});
  flags.group("Data");
  flags.add_list("--test", files, data_help("test data"));
  data.add_to(flags);
  add_metric_flag(flags, options);
  flags.add_path(
      "--out", out,
      "a file such as scores.json for the scores; or a folder for summary.json, answers.jsonl (a line a test "
      "example: what was expected, what came) and report.html");
  flags.add_switch("--force", force, "replace the run that is in the folder --out");
  flags.add("--batch", options.batch, "prompts that are answered together");
  add_test_limit(flags, options.max_examples);
  flags.group("Adapters");
  adapter_flags.add_to(flags);
  model_flags.add_to(flags);
  if (!flags.parse(arguments)) return 0;
  require(!files.empty(), "there is no test data: expected --test FILE");

  check_test_limit(options.max_examples);
  model_flags.check();
  adapter_flags.check();
  check_metric(options);
  std::vector<std::string> notes;
  std::vector<Task> tasks = load_tasks(files, data.reading(), &notes);
  begin_work();
  print_notes(notes);
  const AdaptedModel adapted(model_flags, adapter_flags, flags);
  const LanguageModel& model = adapted.model;
  const Method* method = adapted.adapters.get();
  options.task = adapter_flags.task;
  options.system = adapted.system;
  options.quiet = model_flags.quiet;

  Place place = open_place(out, force);
  skip_unusable(model, tasks, options);
  for (const auto& task : tasks) check_task(model, method, task, options);

  if (place.folder) place.folder->begin(evaluation_config_text(flags.arguments(), model, files));
  const InterruptGuard guard;
  std::vector<TaskScore> scores;
  for (const auto& task : tasks) {
    if (interrupted()) break;
    scores.push_back(evaluate(model, method, task, options));
  }
  print_scores(adapted.label, scores);
  tell_template(model);
  const nlohmann::json result = result_json(model, adapter_flags.adapters, scores, tasks);
  if (place.folder) {
    write_folder(place.folder->path(), adapted, flags.command(), scores, tasks, result);
  } else {
    write_output(place.file, result.dump(2) + "\n");
  }
  return interrupted() ? interrupted_exit : 0;
}

}  // namespace csreft
