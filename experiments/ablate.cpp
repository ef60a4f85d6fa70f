// Runs a comparison of variants over seeds on one model and one set of tasks, from one command; the same command again
// goes on where it stopped.
#include "core/base/atomic_file.h"
#include "core/base/folder.h"
#include "core/base/json_file.h"
#include "core/base/split.h"
#include "core/base/table.h"
#include "experiments/ablations/ablation.h"
#include "experiments/ablations/comparison.h"
#include "experiments/cli/name_list.h"
#include "experiments/cli/progress.h"
#include "experiments/tasks/wordnet.h"
#include "experiments/training/flag_groups.h"
#include "experiments/training/run_flags.h"

namespace csreft {
namespace {

using nlohmann::json;

struct AblateOptions {
  std::string name;
  ModelFlags model;
  OptionFlags method;
  TrainFlags train_flags;
  TrainOptions train;
  EvaluationOptions evaluation;
  std::vector<std::string> train_files, test_files;
  std::string variants, out;
  std::int64_t seeds = 3;
  SizeFlags sizes;
  SaveFlags saves;
  bool bare = false;
  bool smoke = false;
};

void add_flags(Flags& flags, AblateOptions& o) {
  flags.group("Ablation");
  flags.add_required("ablation", o.name, "what is compared:" + summaries_of(ablations()),
                     "one of " + names_of(ablations()));
  flags.add("--variants", o.variants, "only these, separated by commas; empty: all");
  flags.add("--seeds", o.seeds, "number of seeds: --seed and those that follow it");
  flags.add_path(
      "--out", o.out,
      "folder of the comparison; empty: runs/ablate-NAME, with --smoke runs/ablate-NAME-smoke. An unfinished one "
      "goes on; its table and report show all that is there, made by this command or another",
      "FOLDER");
  flags.add_switch("--smoke", o.smoke, "a minute's run of everything: few examples, few steps, one seed");
  flags.group("Data");
  flags.add_list("--train", o.train_files, "training data, a file a task; none: quickstart's four word skills");
  flags.add_list("--test", o.test_files, "test data");
  o.sizes.add_to(flags, o.evaluation);
  flags.add_switch("--bare", o.bare, "without the words with which all prompts of a task begin and end");
  o.method.describe(*configure({"csreft"}), "csreft");
  o.method.add_to(flags, "Method: CS-ReFT's options, from which each variant departs");
  o.train_flags.add_to(flags, o.train);
  o.saves.add_to(flags);
  o.model.add_to(flags);
}

void apply_smoke(const Flags& flags, AblateOptions& o) {
  if (!o.smoke) return;
  if (!flags.given("--examples")) o.sizes.examples = "4";
  if (!flags.given("--tests")) o.evaluation.max_examples = 2;
  if (!flags.given("--steps")) o.train.max_steps = 2;
  if (!flags.given("--seeds")) o.seeds = 1;
  if (!flags.given("--batch")) o.train.batch = 4;
}

// CS-ReFT with the options given; the others are at their defaults.
MethodOptions base_method(const AblateOptions& o) {
  const MethodOptions given{"csreft", o.method.given()};
  const auto defaults = options_json(*configure(given));
  MethodOptions base = given;
  for (const char* name : {"edit", "rank", "subspaces"}) base[name] = defaults.at(name);
  return base;
}

struct Tasks {
  std::vector<Task> train, test;
};

Tasks load(const AblateOptions& o) {
  constexpr std::size_t word_examples = 160, word_tests = 60;
  require(o.train_files.empty() == o.test_files.empty(), "--train and --test go together: expected both or none");
  Tasks tasks{load_tasks(o.train_files), load_tasks(o.test_files)};
  if (o.train_files.empty()) {
    for (auto& skill : wordnet_skills(wordnet_dict, word_examples, word_tests, o.train.seed)) {
      tasks.train.push_back(std::move(skill.train));
      tasks.test.push_back(std::move(skill.test));
    }
  }
  o.sizes.apply(tasks.train, o.evaluation);
  require(!o.bare || tasks.train.size() == tasks.test.size(),
          "--bare needs the test file of each training file: expected {} test files, not {}", tasks.train.size(),
          tasks.test.size());
  for (std::size_t t = 0; o.bare && t < tasks.train.size(); ++t) remove_template(tasks.train[t], tasks.test[t]);
  return tasks;
}

std::vector<Variant> chosen_variants(const AblateOptions& o, const std::vector<Variant>& all) {
  if (o.variants.empty()) return all;
  std::vector<Variant> chosen;
  for (const auto& name : split(o.variants)) {
    require(std::ranges::find(chosen, name, &Variant::name) == chosen.end(),
            "variant {} is named twice: expected each once", name);
    chosen.push_back(find_named(std::span(all), "variant", name));
  }
  return chosen;
}

// The number of a task's examples, and a hash of them.
json contents(std::span<const Task> tasks) {
  json out = json::object();
  for (const auto& task : tasks) {
    out[task.name] = {{"n", task.examples.size()}, {"hash", fmt::format("{:016x}", content_hash(task))}};
  }
  return out;
}

// What must be the same for a comparison to be continued. Each cell looks after the options of its variant.
json settings(const AblateOptions& o, const LanguageModel& model, const Tasks& tasks) {
  return {{"ablation", o.name},
          {"model", model.llama.fingerprint().text()},
          {"chat_template", model.chat->name},
          {"system", o.model.system},
          {"train", contents(tasks.train)},
          {"test", contents(tasks.test)},
          {"tests", o.evaluation.max_examples},
          {"weights", o.model.weights}};
}

// An earlier version's folder has another form of the model's fingerprint.
void keep_settings(const std::filesystem::path& folder, const json& wanted, const Fingerprint& model) {
  const auto file = folder / "ablation.json";
  if (!std::filesystem::exists(file)) {
    std::error_code ignored;
    const bool is_there = std::filesystem::is_directory(folder, ignored);
    require(!is_there || std::filesystem::is_empty(folder),
            "{} is not the folder of a comparison and holds other files: expected a new or an empty folder for --out",
            folder.string());
    make_folder(folder);
    write_file_atomically(file, wanted.dump(2) + "\n");
    return;
  }
  json saved = read_json_object(file);
  if (saved.contains("model") && saved["model"].is_string() && model.is(saved["model"].get<std::string>())) {
    saved["model"] = wanted["model"];
  }
  const std::string difference = first_difference(saved, wanted);
  require(difference.empty(), "{} holds another comparison ({}): expected another --out, or the same data and weights",
          folder.string(), difference);
}

}  // namespace

int ablate(Arguments arguments) {
  if (arguments.empty()) {
    fmt::print("{} ablate NAME compares, for each of several seeds:\n{}\n", command_name(), summaries_of(ablations()));
    return 0;
  }
  AblateOptions o;
  Flags flags("ablate", "Compares variants over seeds on the same data, in one command that can be interrupted.",
              {"./run ablate", "./run ablate router", "./run ablate gate --smoke",
               "./run ablate router --variants learned,manual --seeds 5 --examples 250 --train a.train.json --train "
               "b.train.json --test a.test.json --test b.test.json --out runs/mine"});
  add_flags(flags, o);
  if (!flags.parse(arguments)) return 0;
  const Ablation& ablation = find_ablation(o.name);
  o.model.check();
  o.train = o.train_flags.chosen(o.train, json::object());
  apply_smoke(flags, o);
  o.saves.apply(o.train);
  require(o.seeds >= 1, "--seeds {} is not possible: expected 1 or more", o.seeds);
  const Tasks tasks = load(o);
  const LanguageModel model = o.model.load();
  o.train.system = o.evaluation.system = o.model.system;
  o.train.quiet = o.evaluation.quiet = o.model.quiet;
  const auto all_variants = ablation.variants({base_method(o), o.train, model.llama, tasks.train});
  auto variants = chosen_variants(o, all_variants);
  for (auto& variant : variants) {
    check_variant(model, variant, tasks.train, tasks.test, o.evaluation);
  }
  const std::filesystem::path folder =
      o.out.empty() ? fmt::format("runs/ablate-{}{}", o.name, o.smoke ? "-smoke" : "") : o.out;
  keep_settings(folder, settings(o, model, tasks), model.llama.fingerprint());

  const Comparison comparison{.name = o.name,
                              .reason = std::string(ablation.reason),
                              .folder = folder,
                              .command = flags.command(),
                              .variants = all_variants,
                              .model = model,
                              .seed = o.train.seed};
  const InterruptGuard guard;
  std::size_t done = 0;
  const std::size_t n_cells = variants.size() * static_cast<std::size_t>(o.seeds);
  fmt::print("{}: {} variants x {} seeds, into {}\n", ablation.name, variants.size(), o.seeds, folder.string());
  std::fflush(stdout);
  for (std::int64_t s = 0; s < o.seeds; ++s) {
    for (Variant variant : variants) {
      variant.train.seed = o.train.seed + static_cast<std::uint64_t>(s);
      const auto where = cell_folder(folder, variant);
      ++done;
      if (read_cell(where, variant) || interrupted()) continue;
      fmt::print("\n[{}/{}] {}, seed {}", done, n_cells, variant.name, variant.train.seed);
      run_cell(model, variant, tasks.train, tasks.test, o.evaluation, where, arguments,
               {.train = o.train_files, .test = o.test_files, .validation = {}});
      if (done < n_cells && !interrupted()) write_comparison(comparison);  // after the last it is written below
    }
  }
  const auto cells = write_comparison(comparison);
  print_cells(cells);
  if (!cells.empty()) {
    fmt::print("\ntable: {}\nreport: {}\n", (folder / (o.name + ".tsv")).string(), (folder / "report.html").string());
  }
  if (!interrupted()) return 0;
  fmt::print("interrupted; the same command goes on\n");
  return interrupted_exit;
}

}  // namespace csreft
