// Scores a model, with or without an adapter, on tasks.
#include "core/atomic_file.h"
#include "experiments/harness/flag_groups.h"
#include "experiments/harness/progress.h"
#include "experiments/harness/run_folder.h"

namespace csreft {

int evaluate_model(Arguments arguments) {
  ModelFlags model_flags;
  EvaluationOptions options;
  std::vector<std::string> files;
  std::string adapter_folder, out;
  Flags flags(
      "evaluate", "Scores a model, with or without an adapter, on tasks.",
      {"./run evaluate --test sentiment.test.json",
       "./run evaluate --adapter runs/train-20260101-120000/adapter --test a.json --test b.json --out scores.json"});
  flags.group("Data");
  flags.add_list("--test", files, "test data; with `answer` scored by accuracy, without by nll");
  flags.add("--adapter", adapter_folder, "adapter folder; empty: the model as it is");
  flags.add("--out", out, "write the scores here as JSON");
  flags.add("--batch", options.batch, "prompts that are answered together");
  flags.add("--limit", options.max_examples, "score only the first examples of each file; 0: all");
  model_flags.add_to(flags);
  if (!flags.parse(arguments)) return 0;
  require(!files.empty(), "there is no test data: expected --test FILE");

  std::vector<Task> tasks;
  for (const auto& file : files) tasks.push_back(load_task(file));
  LanguageModel model = model_flags.load();
  options.system = model_flags.system;
  options.quiet = model_flags.quiet;
  LoadedAdapter adapter;
  if (!adapter_folder.empty()) {
    adapter = load_adapter(adapter_folder, model);
    if (!flags.given("--chat-template")) model.chat = &find_chat_template(adapter.context.chat_template);
    if (!flags.given("--system")) options.system = adapter.context.system;
  }

  for (const auto& task : tasks) check_task(model, adapter.method.get(), task, options);

  const InterruptGuard guard;
  std::vector<TaskScore> scores;
  for (const auto& task : tasks) {
    if (interrupted()) break;
    scores.push_back(evaluate(model, adapter.method.get(), task, options));
  }
  print_scores(adapter.method ? adapter.method->options().method : "base", scores);
  if (!out.empty()) {
    nlohmann::json result{{"model", model.name}, {"adapter", adapter_folder}, {"tasks", tasks_json(scores)}};
    for (const auto& s : scores) {
      if (!s.mean_gates.empty()) result["gates"][s.task] = s.mean_gates;
    }
    write_file_atomically(out, result.dump(2) + "\n");
  }
  return interrupted() ? 130 : 0;
}

}  // namespace csreft
