// A small chat model learns four word skills from WordNet: LoReFT with one subspace against CS-ReFT with four of a
// quarter of its rank, once with the paper's router and once with one that specialises, and a report that shows what
// each has learnt.
#include <ranges>

#include "experiments/cli/progress.h"
#include "experiments/cli/text_table.h"
#include "experiments/tasks/wordnet.h"
#include "experiments/training/config.h"
#include "experiments/training/flag_groups.h"
#include "experiments/training/run_flags.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/scores.h"
#include "experiments/training/summary.h"
#include "reft/presets.h"

namespace csreft {
namespace {

struct QuickstartOptions {
  ModelFlags model;
  TrainOptions train;
  std::int64_t n_train = 100;  // of each skill
  std::int64_t n_test = 60;
  std::string wordnet = wordnet_dict;
  std::string out;
  SaveFlags saves;
  bool force = false;
  bool smoke = false;
};

// All edit the same layers and tokens in 16 dimensions.
MethodOptions loreft_options() { return {"loreft", {{"rank", 16}}}; }

MethodOptions csreft_options(const Preset& preset) {
  return with_preset(preset, {"csreft", {{"subspaces", 4}, {"rank", 4}}});
}

// A method with its trainer, made before any work, so that wrong flags are found at once.
struct Contestant {
  MethodRun run;
  TrainOptions train;
  std::shared_ptr<Method> method;
  std::unique_ptr<Trainer> trainer;
  RunFolder folder;
};

Contestant enter(const LanguageModel& model, const std::string& label, const MethodOptions& method_options,
                 const std::vector<Task>& tasks, const TrainOptions& train, RunFolder folder) {
  const std::shared_ptr<Method> method = create_method(method_options, model.llama, train.seed);
  return {.run = start_run(label, method),
          .train = train,
          .method = method,
          .trainer = std::make_unique<Trainer>(model, *method, tasks, train),
          .folder = std::move(folder)};
}

// The first test example of a skill that `after` answers right and `before` does not, or else the first of all.
std::size_t telling_example(const Task& test, const TaskScore& before, const TaskScore& after) {
  for (std::size_t i = 0; i < std::min(before.outputs.size(), after.outputs.size()); ++i) {
    const std::string& answer = *test.examples[i].answer;
    if (is_correct(after.outputs[i], answer) && !is_correct(before.outputs[i], answer)) return i;
  }
  return 0;
}

// What the model by itself answers, with more room than scoring gives it: it likes to talk.
std::vector<std::string> untrained_answers(const LanguageModel& model, const std::vector<Example>& examples,
                                           const std::string& system) {
  GenerationOptions options;
  options.max_new_tokens = 40;
  options.stop_tokens = stop_tokens(model);
  std::vector<std::string> answers;
  for (const auto& ids : generate(model.llama, encode_prompts(model, examples, system), options)) {
    answers.push_back(model.tokenizer.decode(ids));
  }
  return answers;
}

// A question of each skill: what the model answers by itself, and what the methods answered when they were scored.
void add_samples(RunReport& report, const LanguageModel& model, const std::string& system,
                 const std::vector<Skill>& skills, const std::vector<TaskScore>& before,
                 const std::vector<MethodRun>& runs) {
  if (runs.empty()) return;
  std::vector<Example> examples;
  std::vector<std::size_t> indices;
  for (std::size_t t = 0; t < std::min(before.size(), runs.back().scores.size()); ++t) {
    indices.push_back(telling_example(skills[t].test, before[t], runs.back().scores[t]));
    examples.push_back(skills[t].test.examples[indices.back()]);
  }
  const auto answers = untrained_answers(model, examples, system);
  for (std::size_t t = 0; t < examples.size(); ++t) {
    RunReport::Sample sample{
        .prompt = examples[t].instruction, .outputs = {{"before", answers[t]}}, .expected = *examples[t].answer};
    for (const auto& run : runs) {
      if (t >= run.scores.size() || indices[t] >= run.scores[t].outputs.size()) continue;
      sample.outputs.emplace_back(run.label, run.scores[t].outputs[indices[t]]);
    }
    report.samples.push_back(std::move(sample));
  }
}

std::string accuracy_text(const std::vector<TaskScore>& scores, std::size_t t) {
  return t < scores.size() && scores[t].n > 0 ? fmt::format("{:.3f}", scores[t].value) : "";
}

// Methods by skills.
void print_scores_table(const std::vector<TaskScore>& before, const std::vector<MethodRun>& runs) {
  std::vector<std::string> head{"accuracy"};
  for (const auto& score : before) head.emplace_back(task_stem(score.task));
  head.insert(head.end(), {"mean", "trained parameters"});
  std::vector<std::vector<std::string>> rows{head};
  const auto add = [&](const std::string& label, const std::vector<TaskScore>& scores, const std::string& parameters) {
    if (scores.empty()) return;
    std::vector<std::string> row{label};
    for (std::size_t t = 0; t < before.size(); ++t) row.push_back(accuracy_text(scores, t));
    row.push_back(scores.size() == before.size() ? fmt::format("{:.3f}", mean_score(scores, "accuracy")) : "");
    row.push_back(parameters);
    rows.push_back(std::move(row));
  };
  add("before", before, "0");
  for (const auto& run : runs) add(run.label, run.scores, std::to_string(run.parameters.total));
  fmt::print("\n{}before: the model as it is, which does not know the form in which these answers count\n",
             text_table(rows));
}

// Skills by the subspaces that a method's router opens for their test prompts.
void print_gates_table(const MethodRun& run) {
  std::vector<std::vector<std::string>> rows{{"gates of " + run.label}};
  for (const auto& score : run.scores) {
    if (score.mean_gates.empty()) continue;
    while (rows.front().size() <= score.mean_gates.size()) {
      rows.front().push_back(fmt::format("subspace {}", rows.front().size()));
    }
    auto& row = rows.emplace_back(std::vector{std::string(task_stem(score.task))});
    for (const double gate : score.mean_gates) row.push_back(fmt::format("{:.2f}", gate));
  }
  if (rows.size() > 1) fmt::print("\n{}", text_table(rows));
}

void print_results(const std::vector<TaskScore>& before, const std::vector<MethodRun>& runs,
                   const std::vector<RunReport::Sample>& samples) {
  print_scores_table(before, runs);
  for (const auto& run : runs) print_gates_table(run);
  if (!samples.empty()) fmt::print("\na question of each skill\n");
  for (const auto& sample : samples) {
    fmt::print("\n> {}\n", sample.prompt);
    for (const auto& [label, text] : sample.outputs) {
      fmt::print("  {:<13}{}\n", label, one_line(text));
    }
    fmt::print("  {:<13}{}\n", "expected", sample.expected);
  }
}

void write_results(const std::filesystem::path& folder, const LanguageModel& model, const QuickstartOptions& options,
                   const std::string& command, const std::vector<Skill>& skills, const std::vector<TaskScore>& before,
                   const std::vector<const Contestant*>& done) {
  std::vector<MethodRun> runs;
  for (const auto* c : done) runs.push_back(c->run);
  RunReport report = start_report("Four word skills", command, model, options.train.seed);
  add_scores(report, untrained_label, before);
  nlohmann::json methods{{"before", {{"tasks", tasks_json(before)}}}};
  for (const auto* c : done) {
    add_to_report(report, model, c->run);
    methods[c->run.label] = summary_json(model, c->run, c->train);
  }
  report.interrupted = interrupted();
  add_samples(report, model, options.model.system, skills, before, runs);
  print_results(before, runs, report.samples);
  nlohmann::json summary = done.empty() ? nlohmann::json{{"method", "none"}, {"seed", options.train.seed}}
                                        : summary_json(model, done.back()->run, done.back()->train);
  summary["methods"] = methods;
  summary["interrupted"] = interrupted();
  write_report(folder / "report.html", report);
  write_summary(folder, summary);  // the last: it says that the run is finished
}

}  // namespace

int quickstart(Arguments arguments) {
  QuickstartOptions options;
  options.train.batch = 8;
  TrainFlags train_flags;
  Flags flags("quickstart",
              "SmolLM2-135M learns four word skills from WordNet: CS-ReFT with the paper's router and with one that "
              "specialises, against LoReFT of equal budget, before and after, with a report.",
              {"./run quickstart", "./run quickstart --seed 1 --examples 250 --epochs 3 --out runs/long",
               "./run quickstart --smoke"});
  flags.group("Quickstart");
  flags.add_path("--out", options.out, "folder of the run, a new or an empty one; empty: runs/quickstart-TIME",
                 "FOLDER");
  flags.add_switch("--force", options.force, "replace the run that is in --out");
  flags.add("--examples", options.n_train, "training examples of each skill");
  flags.add("--tests,--limit", options.n_test, "test examples of each skill");
  flags.hide("--limit");
  flags.add_path("--wordnet", options.wordnet, "WordNet's folder of database files", "FOLDER");
  flags.add_switch("--smoke", options.smoke, "a minute's run of everything: few examples, few steps");
  // The skills have no validation data, and each example is one turn.
  train_flags.add_to(flags, options.train, {"loss_on", "validate_every", "keep"});
  options.saves.add_to(flags);
  options.model.add_to(flags);
  if (!flags.parse(arguments)) return 0;
  std::vector<std::string> notes;
  options.train = train_flags.chosen(options.train, nlohmann::json::object(), &notes);
  if (options.smoke) {
    if (!flags.given("--examples")) options.n_train = 8;
    if (!flags.given("--tests")) options.n_test = 4;
    if (!flags.given("--steps")) options.train.max_steps = 4;
  }
  require(options.n_train >= 1 && options.n_test >= 1, "--examples and --tests: expected 1 or more");
  options.saves.apply(options.train);
  options.model.check();
  begin_work();
  print_notes(notes);
  const Replace replace = options.force ? Replace::any : Replace::nothing;
  RunFolder whole = options.out.empty() ? RunFolder::take_new("quickstart") : RunFolder::take(options.out, replace);
  const std::filesystem::path folder = whole.path();

  const auto skills = wordnet_skills(options.wordnet, static_cast<std::size_t>(options.n_train),
                                     static_cast<std::size_t>(options.n_test), options.train.seed);
  std::vector<Task> tasks, tests;
  for (const auto& skill : skills) {
    tasks.push_back(skill.train);
    tests.push_back(skill.test);
  }
  const LanguageModel model = options.model.load();
  options.train.system = options.model.system;
  options.train.quiet = options.model.quiet;
  EvaluationOptions evaluation;
  evaluation.system = options.model.system;
  evaluation.quiet = true;  // progress shows accuracies, which stand in the table
  std::vector<Contestant> contestants;
  const auto add = [&](const std::string& label, const MethodOptions& method, const TrainOptions& train,
                       RunFolder where) {
    contestants.push_back(enter(model, label, method, tasks, train, std::move(where)));
  };
  add("loreft", loreft_options(), options.train, RunFolder::take(folder / "loreft", replace));
  for (const std::string_view name : {"paper", "specialised"}) {
    const bool last = name == "specialised";
    add(last ? "csreft" : "csreft-paper", csreft_options(find_preset(name)), options.train,
        last ? std::move(whole) : RunFolder::take(folder / "csreft-paper", replace));
  }
  const DataFiles data{.train = {}, .test = {}, .validation = {}, .made_train = tasks, .made_test = tests};
  // The whole's folder first: it holds the others.
  for (auto& c : contestants | std::views::reverse) {
    c.folder.begin(config_text("quickstart", flags.arguments(), c.run.options, c.train, model, data));
  }
  fmt::print("{}: {} parameters, frozen; four skills with {} examples to learn from and {} to be tested on\n",
             model.name, parameter_count(model.llama.config()), options.n_train, options.n_test);
  std::fflush(stdout);

  const InterruptGuard guard;
  fmt::print("\nthe model as it is: scoring {} answers\n", options.n_test * std::ssize(tests));
  std::fflush(stdout);
  const auto before = score_untrained(model, tests, evaluation);
  write_answers(folder, answers_of(before, tests), untrained_answers_file_name);
  std::vector<const Contestant*> done;
  for (auto& contestant : contestants) {
    if (interrupted()) break;
    train_and_score(contestant.run, *contestant.trainer, model, tests, evaluation, contestant.folder.path(), false,
                    ScoreLines::leave);
    write_summary(contestant.folder.path(), summary_json(model, contestant.run, contestant.train));
    done.push_back(&contestant);
  }
  write_results(folder, model, options, flags.command(), skills, before, done);
  fmt::print("\nreport: {}\n", (folder / "report.html").string());
  if (interrupted()) return interrupted_exit;
  fmt::print("try it: {} generate --adapter {} --prompt {}\n", command_name(),
             shell_quoted((folder / "adapter").string()),
             shell_quoted(skills.back().test.examples.front().instruction));
  return 0;
}

}  // namespace csreft
