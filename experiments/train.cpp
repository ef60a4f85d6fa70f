// Fine-tunes a model with one method on any number of tasks, scores it, and writes a run folder.
#include "core/base/folder.h"
#include "core/base/threads.h"
#include "experiments/cli/progress.h"
#include "experiments/training/flag_groups.h"
#include "experiments/training/run_folder.h"
#include "reft/presets.h"

namespace csreft {
namespace {

struct TrainCommand {
  ModelFlags model;
  MethodFlags method;
  TrainOptions train;
  EvaluationOptions evaluation;
  std::vector<std::string> train_files, test_files;
  SizeFlags sizes;
  std::string out, resume;

  Flags flags{"train",
              "Fine-tunes a model with one method, scores it, and writes a run folder.",
              {"./run train --train sentiment.train.json --test sentiment.test.json",
               "./run train --method loreft --rank 16 --train a.json --train b.json --test a.test.json --seed 1",
               "./run train --gate soft --train a.json --train b.json --test a.test.json",
               "./run train --model path/to/Llama-2-7b --layers 3,9,18,24 --router-hidden 32 --train data.json",
               "./run train --resume runs/train-20260101-120000"}};

  TrainCommand() {
    flags.group("Data");
    flags.add_list("--train", train_files, "training data: JSON of {instruction, input, output[, answer]}");
    flags.add_list("--test", test_files, "test data; with `answer` scored by accuracy, without by nll");
    sizes.add_to(flags, evaluation);
    flags.add("--out", out, "folder of the run, in place of a run that is there; empty: runs/train-TIME");
    flags.add("--resume", resume, "continue the run in this folder, with its flags");
    method.add_to(flags);
    train.router_lr = presets().front().router_lr;
    add_train_flags(flags, train);
    model.add_to(flags);
  }

  // Relative paths become those that they are in `folder`.
  void name_files_from(const std::filesystem::path& folder) {
    for (auto* files : {&train_files, &test_files}) {
      for (auto& file : *files) file = folder / file;
    }
    if (model.model != default_model) model.model = folder / model.model;
  }
};

// With `saved`, goes on with the run that the folder holds, and with its options.
int run(TrainCommand& command, Arguments arguments, const std::filesystem::path& folder, const RunConfig* saved) {
  require(!command.train_files.empty(), "there is no training data: expected --train FILE");
  command.train.system = command.evaluation.system = command.model.system;
  command.train.quiet = command.evaluation.quiet = command.model.quiet;
  auto train_tasks = load_tasks(command.train_files);
  command.sizes.apply(train_tasks, command.evaluation);
  const auto test_tasks = load_tasks(command.test_files);
  const LanguageModel model = command.model.load();
  const MethodOptions options = saved != nullptr ? saved->method
                                                 : command.method.parsed(model.llama.config(), command.flags,
                                                                         command.train.router_lr, train_tasks);
  if (saved != nullptr) {
    command.train = saved->train;
    command.train.quiet = command.model.quiet;
    if (saved->threads != 0 && saved->threads != threads()) {
      fmt::print("note: with {} threads where the run had {}, last bits differ from those of a run in one go\n",
                 threads(), saved->threads);
    }
  }
  if (const auto flags = command.method.departures(options, command.train.router_lr); !flags.empty()) {
    const bool several = flags.find(',') != std::string::npos;
    fmt::print("note: {} of this run {} not as preset {} has {}: the run's preset is called custom\n", flags,
               several ? "are" : "is", command.method.preset, several ? "them" : "it");
  }
  const std::shared_ptr<Method> method =
      create_method(options, model.llama.config(), command.train.seed, model.llama.options());
  Trainer trainer(model, *method, train_tasks, command.train);
  for (const auto& task : test_tasks) check_task(model, method.get(), task, command.evaluation);
  if (saved == nullptr) write_config(folder, "train", arguments, method->options(), command.train);

  const bool resume = saved != nullptr && std::filesystem::exists(folder / "state.safetensors");
  require(saved == nullptr || resume || !std::filesystem::exists(folder / "adapter"),
          "{} has an adapter and no state.safetensors: expected what the run kept to go on from", folder.string());
  fmt::print("{} on {}, into {}{}\n", options.method, model.name, folder.string(),
             saved != nullptr && !resume ? ": no step was done yet" : "");
  const InterruptGuard guard;
  MethodRun run = start_run(options.method, method);
  train_and_score(run, trainer, model, test_tasks, command.evaluation, folder, resume);
  write_summary(folder, summary_json(model, run, command.train));
  RunReport report =
      start_report(options.method + " on " + model.name, command.flags.command(), model, command.train.seed);
  add_to_report(report, model, run);
  write_report(folder / "report.html", report);
  fmt::print("{}: {}\n", run.result.interrupted ? "interrupted; what was done is in" : "report",
             run.result.interrupted ? folder.string() : (folder / "report.html").string());
  if (run.result.interrupted)
    fmt::print("to go on: {} train --resume {}\n", command_name(), shell_quoted(folder.string()));
  return run.result.interrupted ? interrupted_exit : 0;
}

}  // namespace

int train(Arguments arguments) {
  TrainCommand command;
  if (!command.flags.parse(arguments)) return 0;
  if (command.resume.empty()) {
    const std::filesystem::path folder =
        command.out.empty() ? default_run_folder("train") : std::filesystem::path(command.out);
    return run(command, arguments, folder, nullptr);
  }
  for (const auto& flag : command.flags.given()) {
    require(flag == "--resume" || flag == "--threads" || flag == "--quiet",
            "--resume continues a run with its own flags: expected no {} beside it", flag);
  }
  TrainCommand saved;
  const RunConfig config = read_config(command.resume, "train");
  saved.flags.parse(config.arguments);
  if (command.flags.given("--threads")) saved.model.threads = command.model.threads;
  saved.model.quiet = command.model.quiet;
  if (std::filesystem::is_directory(config.started_in)) saved.name_files_from(config.started_in);
  return run(saved, config.arguments, command.resume, &config);
}

}  // namespace csreft
