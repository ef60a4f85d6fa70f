// Scores a model, with or without an adapter, on tasks.
#include "experiments/cli/progress.h"
#include "experiments/training/adapted_model.h"
#include "experiments/training/scores.h"

namespace csreft {

int evaluate_model(Arguments arguments) {
  ModelFlags model_flags;
  EvaluationOptions options;
  std::vector<std::string> files;
  AdapterFlags adapter_flags;
  std::string out;
  Flags flags(
      "evaluate", "Scores a model, with or without an adapter, on tasks.",
      {"./run evaluate --test sentiment.test.json",
       "./run evaluate --adapter runs/train-20260101-120000/adapter --test a.json --test b.json --out scores.json",
       "./run evaluate --adapter runs/a/adapter --adapter runs/b/adapter --scale 0.8 --test a.json"});
  flags.group("Data");
  flags.add_list("--test", files, "test data; with `answer` scored by accuracy, without by nll");
  flags.add_path("--out", out, "write the scores here as JSON");
  flags.add("--batch", options.batch, "prompts that are answered together");
  flags.add("--tests,--limit", options.max_examples, "test examples of each task, the first of its file; 0: all");
  flags.group("Adapters");
  adapter_flags.add_to(flags);
  model_flags.add_to(flags);
  if (!flags.parse(arguments)) return 0;
  require(!files.empty(), "there is no test data: expected --test FILE");

  require(options.max_examples >= 0, "--tests {} is not possible: expected 0 (all) or more", options.max_examples);
  model_flags.check();
  adapter_flags.check();
  const std::vector<Task> tasks = load_tasks(files);
  const AdaptedModel adapted(model_flags, adapter_flags, flags);
  const LanguageModel& model = adapted.model;
  const Method* method = adapted.adapters.get();
  options.task = adapter_flags.task;
  options.system = adapted.system;
  options.quiet = model_flags.quiet;

  const auto output = open_output(out);
  for (const auto& task : tasks) check_task(model, method, task, options);

  const InterruptGuard guard;
  std::vector<TaskScore> scores;
  for (const auto& task : tasks) {
    if (interrupted()) break;
    scores.push_back(evaluate(model, method, task, options));
  }
  print_scores(adapted.label, scores);
  nlohmann::json result{{"model", model.name},
                        {"adapter", fmt::format("{}", fmt::join(adapter_flags.adapters, ","))},
                        {"tasks", tasks_json(scores)},
                        {"interrupted", interrupted()}};
  if (auto gates = gates_json(scores); !gates.empty()) result["gates"] = std::move(gates);
  write_output(output, result.dump(2) + "\n");
  return interrupted() ? interrupted_exit : 0;
}

}  // namespace csreft
