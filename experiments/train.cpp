// Fine-tunes a model with one method on any number of tasks, scores it, and writes a run folder.
#include <algorithm>
#include <array>
#include <optional>

#include "core/base/json_file.h"
#include "core/ranks/ranks.h"
#include "experiments/cli/config_flags.h"
#include "experiments/cli/progress.h"
#include "experiments/training/config.h"
#include "experiments/training/flag_groups.h"
#include "experiments/training/run_flags.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/scores.h"
#include "experiments/training/summary.h"

namespace csreft {
namespace {

struct TrainCommand {
  ModelFlags model;
  MethodFlags method;
  TrainFlags train_flags;
  TrainOptions train;
  EvaluationOptions evaluation;
  std::vector<std::string> train_files, test_files;
  DataFlags data;
  SizeFlags sizes;
  ValidationFlags validation;
  SaveFlags saves;
  std::string out, resume;
  bool force = false, baseline = true;

  Flags flags{"train",
              "Fine-tunes a model with one method, scores it, and writes a run folder.",
              {"./run train --train sentiment.train.json --test sentiment.test.json",
               "./run train --method loreft --rank 16 --train a.json --train b.json --test a.test.json --seed 1",
               "./run train --gate soft --train a.json --train b.json --test a.test.json",
               "./run train --model path/to/Llama-2-7b --preset paper-budget --train data.json",
               "./run train --method lora+loreft --lora.rank 2 --loreft.rank 8 --train a.json --test a.test.json",
               "./run train --train a.json --test a.test.json --validation 0.1 --keep best",
               "./run train --train mood=a.jsonl --test mood=b.jsonl --field instruction=question --metric choice",
               "./run train --order sequence --train a.json --train b.json --test a.test.json --test b.test.json",
               "./run train --config lora.json --seed 1", "./run train --resume runs/train-20260101-120000",
               "./run train --resume runs/train-20260101-120000 --epochs 8"}};

  // `arguments` are those that will be parsed.
  explicit TrainCommand(Arguments arguments) {
    flags.group("Data");
    flags.add_list("--train", train_files, data_help("training data"));
    flags.add_list("--test", test_files, "test data, in the same forms; those of one task have one NAME");
    data.add_to(flags);
    add_metric_flag(flags, evaluation);
    sizes.add_to(flags, evaluation);
    flags.add_switch("--baseline,!--no-baseline", baseline, "score the untrained model on the test data, too");
    flags.group("Run");
    flags.add_path("--out", out, "folder of the run, a new or an empty one; empty: runs/train-TIME", "FOLDER");
    flags.add_switch("--force", force, "replace the run that is in --out");
    flags.add_path("--resume", resume,
                   "continue the run in this folder, with its flags; --epochs or --steps beside it extend the run, and "
                   "the learning rate falls to 0 at the new end",
                   "FOLDER");
    saves.add_to(flags);
    validation.add_to(flags);
    method.add_to(flags, with_unchecked_config(arguments));
    train_flags.add_to(flags, train);
    model.add_to(flags);
  }

  // Relative paths become those that they are in `folder`.
  void name_files_from(const std::filesystem::path& folder) {
    const auto name_from = [&folder](std::string& text) {
      const auto [path, name] = parse_data_file(text);
      text = (name.empty() ? "" : name + "=") + (folder / path).string();
    };
    for (auto* files : {&train_files, &test_files}) std::ranges::for_each(*files, name_from);
    if (!validation.files().empty()) std::ranges::for_each(validation.sources, name_from);
    if (model.model != default_model) model.model = folder / model.model;
  }
};

struct Data {
  std::vector<Task> train, test, validation;
};

// The data, the method and the options of the training, which depend on each other: a method may ask for the names of
// the tasks, a preset has options of the training, and their seed draws what is set apart for validation.
struct Prepared {
  Data data;
  MethodChoice choice;
};

Prepared prepare(TrainCommand& command, const RunConfig* saved) {
  const DataReading reading = command.data.reading();
  check_metric(command.evaluation);
  std::vector<std::string> notes;
  Prepared out{.data = {.train = load_tasks(command.train_files, reading, &notes), .test = {}, .validation = {}},
               .choice = {}};
  if (saved == nullptr) {
    out.choice = command.method.chosen(command.flags, out.data.train);
    command.train = command.train_flags.chosen(command.train, out.choice.train, &out.choice.notes);
    command.validation.check(command.train);
  } else {
    out.choice.method = saved->method;
  }
  command.train.system = command.evaluation.system = command.model.system;
  command.train.quiet = command.evaluation.quiet = command.model.quiet;
  command.saves.apply(command.train);
  command.sizes.apply(out.data.train, command.evaluation);
  out.data.test = load_tasks(command.test_files, reading, &notes);
  out.data.validation = command.validation.take(out.data.train, command.train.seed, reading, &notes);
  print_notes(notes);
  return out;
}

// Layers that a preset gives for another depth are told as they are here.
void print_layers(const MethodOptions& asked, const MethodOptions& resolved, const LlamaConfig& config) {
  for (const auto& [name, value] : resolved.values.items()) {
    if (name != "layers" && !name.ends_with(".layers")) continue;
    const std::string given = asked.contains(name) ? name : "layers";
    if (!asked.contains(given) || !asked.at(given).is_string()) continue;
    const auto text = asked.at(given).get<std::string>();
    if (text.find(" of ") == std::string::npos) continue;
    fmt::print("note: {} {} blocks are {} of the {} here\n", name, text, value.get<std::string>(), config.n_layers);
  }
}

// The summary that an earlier part of the run has written; empty if it wrote none.
nlohmann::json kept_summary(const std::filesystem::path& folder) {
  const auto file = folder / "summary.json";
  return std::filesystem::exists(file) ? read_json_object(file) : nlohmann::json::object();
}

// Says where a run goes on. False if there is nothing left to do.
bool announce_resume(const Trainer& trainer, const std::filesystem::path& folder) {
  const auto [done, lost] = trainer.saved(folder);
  const std::int64_t total = trainer.total_steps();
  require(done <= total, "{} has done {} steps: expected --epochs and --steps that make no fewer, not {}",
          folder.string(), done, total);
  if (trainer.ranks().broadcast_first(done == total && holds_finished_run(folder))) {
    fmt::print("the run in {} is finished: all {} steps are done and scored; --epochs or --steps extends it\n",
               folder.string(), total);
    return false;
  }
  fmt::print("goes on after step {} of {}{}\n", done, total,
             lost > 0 ? fmt::format("; {} step{} since the last save {} lost and done again", lost,
                                    lost == 1 ? "" : "s", lost == 1 ? "is" : "are")
                      : "");
  return true;
}

// Throws Error for another model than the run began with.
void check_model(const RunConfig& saved, const LanguageModel& model, const std::filesystem::path& folder) {
  if (saved.model_hash.empty()) return;
  require(model.llama.fingerprint().is(saved.model_hash),
          "{} is not the model that the run in {} began with: expected the same weights", model.name, folder.string());
  if (is_of_first_rows(saved.model_hash)) {
    fmt::print(
        "note: an earlier version began the run in {} and kept a hash of the first row of each matrix alone: these are "
        "the same in {}; from here on the hash is of all weights\n",
        folder.string(), model.name);
  }
}

// Scores the untrained model, unless that is known, then trains and scores. False if a signal came before the training
// and an earlier part of the run has told as much.
bool train_with_baseline(MethodRun& run, Trainer& trainer, const LanguageModel& model, const std::vector<Task>& tests,
                         const TrainCommand& command, const std::filesystem::path& folder, bool resume) {
  const std::string where = (folder / "summary.json").string();
  const Ranks& ranks = trainer.ranks();
  nlohmann::json kept = ranks.is_first() ? kept_summary(folder) : nlohmann::json::object();
  const Routing* routing = run.method->routing();
  const std::int64_t shared = routing != nullptr ? routing->shared() : 0;
  if (command.baseline && ranks.is_first()) {
    run.untrained = kept_scores(kept, "untrained", tests, shared, where);
    if (run.untrained.empty()) {
      run.untrained = score_untrained(model, tests, command.evaluation);
      // Before the summary has the scores, so that a run that goes on has the answers to those that it finds there.
      if (!interrupted()) write_answers(folder, answers_of(run.untrained, tests), untrained_answers_file_name);
    }
    print_scores("untrained", run.untrained);
  }
  run.result.interrupted = true;
  const bool goes_on = ranks.broadcast_first(!interrupted());
  if (!goes_on) run.untrained.clear();
  if (!ranks.is_first()) {
    if (goes_on) train_and_score(run, trainer, model, tests, command.evaluation, folder, resume);
    return goes_on;
  }
  // Until the run has come to its end; what an earlier part of it has left stays until then.
  if (!kept.empty()) {
    run.scores = kept_scores(kept, "tasks", tests, shared, where);
    run.scored_step = find_json<std::int64_t>(kept, "scored_step", where)
                          .value_or(find_json<std::int64_t>(kept, "steps", where).value_or(0));
    kept["interrupted"] = true;
    kept["total_steps"] = run.total_steps;
    if (!run.untrained.empty()) kept["untrained"] = tasks_json(run.untrained);
    write_summary(folder, kept);
  } else {
    write_summary(folder, summary_json(model, run, command.train));
  }
  if (goes_on) train_and_score(run, trainer, model, tests, command.evaluation, folder, resume);
  return goes_on || kept.empty();
}

int finish(const MethodRun& run, const LanguageModel& model, const TrainCommand& command,
           const std::filesystem::path& folder, bool has_news) {
  if (has_news) {
    RunReport report =
        start_report(run.label + " on " + model.name, command.flags.command(), model, command.train.seed);
    add_to_report(report, model, run);
    write_report(folder / "report.html", report);
    // The last: a run whose summary says that it is finished has all that it makes.
    write_summary(folder, summary_json(model, run, command.train));
  }
  if (!run.result.interrupted) {
    fmt::print("report: {}\n", (folder / "report.html").string());
    return 0;
  }
  fmt::print("interrupted; what was done is in: {}\n", folder.string());
  fmt::print("to go on: {} train --resume {}\n", command_name(), shell_quoted(folder.string()));
  return interrupted_exit;
}

// On a host with several ranks, each has its share of the processors, and a card of its own.
ModelFlags share_of_host(ModelFlags flags, const Ranks& ranks) {
  if (ranks.size() == 1) return flags;
  if (flags.threads == 0) flags.threads = ranks.threads();
  if (flags.device == "cuda") flags.device = fmt::format("cuda:{}", ranks.local_rank());
  return flags;
}

// Where a run trains: all ranks know its folder, and the first one has it.
struct RunPlace {
  const Ranks& ranks;
  std::optional<RunFolder> folder;
  std::filesystem::path path;

  RunPlace(const Ranks& all, std::optional<RunFolder> own)
      : ranks(all),
        folder(std::move(own)),
        path(ranks.broadcast_first(folder ? folder->path().string() : std::string())) {}
};

// With `saved`, goes on with the run that the folder holds, and with its options.
int run(const TrainCommand& command, Prepared&& prepared, Arguments arguments, RunPlace run_place,
        const RunConfig* saved) {
  const auto& [ranks, folder, place] = run_place;
  auto& [data, choice] = prepared;
  const LanguageModel model = share_of_host(command.model, ranks).load(trains_model(choice.method), saved == nullptr);
  if (saved != nullptr) {
    for (const auto& line : differences(*saved, model.llama.options().device)) fmt::print("note: {}\n", line);
  }
  const std::shared_ptr<Method> method = create_method(choice.method, model.llama, command.train.seed);
  print_layers(choice.method, method->options(), model.llama.config());
  Trainer trainer(model, *method, data.train, command.train, ranks);
  skip_unusable(model, data.test, command.evaluation);
  skip_unusable(model, data.validation, {.system = command.train.system, .metric = command.evaluation.metric});
  for (const auto& task : data.test) check_task(model, method.get(), task, command.evaluation);
  if (!data.test.empty()) check_sequence(trainer.sequence(), data.test, command.evaluation.metric);
  if (!data.validation.empty()) trainer.validate_on(data.validation, command.evaluation);

  const bool resume = ranks.broadcast_first(saved != nullptr && std::filesystem::exists(place / "state.safetensors"));
  require(saved == nullptr || resume || !std::filesystem::exists(place / "adapter"),
          "{} has an adapter and no state.safetensors: expected what the run kept to go on from", place.string());
  require(
      saved == nullptr || trainer.n_phases() < 2 || to_json(saved->train) == to_json(command.train),
      "a run that learns tasks in sequence cannot be extended: its earlier tasks are done; expected no --epochs and no "
      "--steps");
  if (saved != nullptr) check_model(*saved, model, place);
  if (resume && !announce_resume(trainer, place)) return 0;
  if (!ranks.is_first()) {
    // Writes nothing.
  } else if (saved == nullptr) {
    const DataFiles files{command.train_files, command.test_files, command.validation.files()};
    run_place.folder->begin(config_text("train", arguments, method->options(), command.train, model, files));
  } else {
    run_place.folder->go_on();
    continue_config(place, command.train, model, resume ? trainer.saved(place).done : 0);
  }
  tell_template(model);
  for (const auto& note : choice.notes) fmt::print("note: {}\n", note);
  fmt::print("{} on {}, into {}{}\n", choice.method.method, model.name, place.string(),
             saved != nullptr && !resume ? ": no step was done yet" : "");
  const InterruptGuard guard;
  MethodRun run = start_run(choice.method.method, method);
  run.total_steps = trainer.total_steps();
  const bool has_news = train_with_baseline(run, trainer, model, data.test, command, place, resume);
  if (!ranks.is_first()) return 0;
  return finish(run, model, command, place, has_news);
}

// The flags that may stand beside --resume take the place of the run's own.
void change(TrainCommand& saved, const TrainCommand& given, const TrainOptions& asked, const TrainOptions& train) {
  saved.train = train;
  if (given.flags.given("--threads")) saved.model.threads = given.model.threads;
  if (given.flags.given("--device")) saved.model.device = given.model.device;
  if (given.flags.given("--save-every")) saved.saves = given.saves;
  if (given.flags.given("--epochs")) {
    saved.train.epochs = asked.epochs;
    saved.train.max_steps = 0;
  }
  if (given.flags.given("--steps")) saved.train.max_steps = asked.max_steps;
  saved.model.quiet = given.model.quiet;
}

int resume(const TrainCommand& given, const Ranks& ranks) {
  constexpr std::array allowed{"--resume", "--threads", "--quiet", "--epochs", "--steps", "--save-every", "--device"};
  for (const auto& flag : given.flags.given()) {
    require(std::ranges::find(allowed, flag) != allowed.end(),
            "--resume continues a run with its own flags: expected no {} beside it, only {}", flag,
            fmt::join(allowed.begin() + 1, allowed.end(), ", "));
  }
  const TrainOptions asked = given.train_flags.chosen(given.train, nlohmann::json::object());
  given.model.check();
  TrainOptions unused;
  given.saves.apply(unused);
  begin_work();
  std::optional<RunFolder> folder;
  if (ranks.is_first()) folder.emplace(RunFolder::reopen(given.resume));
  RunPlace place(ranks, std::move(folder));
  const RunConfig config = read_config(given.resume, "train");
  TrainCommand saved(config.arguments);
  saved.flags.parse(config.arguments);
  change(saved, given, asked, config.train);
  // In the folder where it began, names stay as they were given: the adapter of LoRA has the model's.
  const std::filesystem::path begun_in = config.started_in;
  if (std::filesystem::is_directory(begun_in) && !std::filesystem::equivalent(begun_in, ".")) {
    saved.name_files_from(begun_in);
  }
  Prepared prepared = prepare(saved, &config);
  return run(saved, std::move(prepared), config.arguments, std::move(place), &config);
}

int train(Arguments arguments, const Ranks& ranks) {
  TrainCommand command(arguments);
  if (!command.flags.parse(arguments)) return 0;
  if (!command.resume.empty()) return resume(command, ranks);
  require(!command.train_files.empty(), "there is no training data: expected --train FILE");
  // What is wrong with the flags comes before what is wrong with the folder.
  command.model.check();
  Prepared prepared = prepare(command, nullptr);
  begin_work();
  std::optional<RunFolder> folder;
  if (ranks.is_first()) {
    folder.emplace(command.out.empty() ? RunFolder::take_new("train")
                                       : RunFolder::take(command.out, command.force ? Replace::any : Replace::nothing));
  }
  return run(command, std::move(prepared), command.flags.arguments(), {ranks, std::move(folder)}, nullptr);
}

}  // namespace

int train(Arguments arguments) {
  const Ranks ranks = Ranks::start();
  if (ranks.size() == 1) return train(arguments, ranks);
  return ranks.together([&] {
    try {
      return train(arguments, ranks);
    } catch (const std::exception& error) {
      fail("{}", one_line(error.what()));
    }
  });
}

}  // namespace csreft
