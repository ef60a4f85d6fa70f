#include "experiments/ablations/command.h"

#include "core/base/atomic_file.h"
#include "core/base/folder.h"
#include "core/base/json_file.h"
#include "core/base/split.h"
#include "experiments/ablations/comparison.h"
#include "experiments/ablations/rates.h"
#include "experiments/ablations/varied.h"
#include "experiments/ablations/work.h"
#include "experiments/ablations/workers.h"
#include "experiments/cli/name_list.h"
#include "experiments/cli/progress.h"
#include "experiments/tasks/wordnet.h"
#include "experiments/training/run_flags.h"
#include "experiments/training/run_folder.h"

namespace csreft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct ComparisonCommand {
  std::string experiment;
  const Ablation* ablation = nullptr;  // null: the flags say which
  std::string name;
  ModelFlags model;
  OptionFlags method;
  TrainFlags train_flags;
  TrainOptions train;
  EvaluationOptions evaluation;
  std::vector<std::string> train_files, test_files, vary;
  std::string variants, rates = "auto", out, hosts, elsewhere = "auto";
  std::int64_t seeds = 3, jobs = 1;
  SizeFlags sizes;
  SaveFlags saves;
  bool bare = false;
  bool smoke = false;
};

// Without a name, what --vary describes.
const Ablation& varied_ablation() {
  static const Ablation ablation{
      .name = "vary",
      .summary = "options varied by flags",
      .reason = "CS-ReFT with every combination of the values of the varied options, on the same data and seeds.",
      .variants = [](const AblationBase& base) { return std::vector{csreft_variant(base, "csreft")}; },
  };
  return ablation;
}

void add_flags(Flags& flags, ComparisonCommand& o) {
  flags.group("Comparison");
  if (o.ablation == nullptr) {
    flags.add("ablation", o.name,
              "what is compared; none: CS-ReFT with what --vary varies" + summaries_of(ablations()));
  }
  flags.add("--variants", o.variants, "only these, separated by commas; empty: all");
  flags.add_list(
      "--vary", o.vary,
      "an option and its values, as rank=1,2,4: each variant with each value, and of several options with each "
      "combination",
      "OPTION=VALUES");
  flags.add("--rates", o.rates,
            "learning rates, separated by commas: each variant has the one with which its first seed does best on a "
            "tenth of the training examples, set apart for that; auto: those of the comparison, if it has some and "
            "without --smoke; empty: --lr for all");
  flags.add("--seeds", o.seeds, "number of seeds: --seed and those that follow it");
  flags.add_path("--out", o.out,
                 "folder of the comparison; empty: runs/" + o.experiment + (o.ablation == nullptr ? "-NAME" : "") +
                     ", with --smoke and -smoke behind it. An unfinished one goes on; its table and report show all "
                     "that is there, made by this command or another",
                 "FOLDER");
  flags.add("--jobs", o.jobs,
            "processes side by side, which share the threads; the same command started by hand more than once shares "
            "the work, too, also from other machines that see the folder (a job of an array, srun)");
  flags.add_path(
      "--hosts", o.hosts,
      "machines to run the same command on, a line each as in GNU parallel's --sshloginfile; they must share "
      "this working folder");
  flags.add_switch("--smoke", o.smoke, "a minute's run of everything: few examples, few steps, one seed");
  flags.group("Data");
  flags.add_list("--train", o.train_files, "training data, a file a task; none: quickstart's four word skills");
  flags.add_list("--test", o.test_files, "test data");
  o.sizes.add_to(flags, o.evaluation);
  flags.add_path("--elsewhere", o.elsewhere,
                 "text that is none of the tasks: what training adds to its mean nll is the drift; auto: "
                 "instruct.test.json beside the first test file, if it is there and no task; empty: none");
  flags.add_switch("--bare", o.bare, "without the words with which all prompts of a task begin and end");
  o.method.describe(*configure({"csreft"}), "csreft");
  o.method.add_to(flags, "Method: CS-ReFT's options, from which each variant departs");
  o.train_flags.add_to(flags, o.train);
  o.saves.add_to(flags);
  o.model.add_to(flags);
}

void apply_smoke(const Flags& flags, ComparisonCommand& o) {
  if (!o.smoke) return;
  if (!flags.given("--examples")) o.sizes.examples = "4";
  if (!flags.given("--tests")) o.evaluation.max_examples = 2;
  if (!flags.given("--steps")) o.train.max_steps = 1;
  if (!flags.given("--seeds")) o.seeds = 1;
  if (!flags.given("--batch")) o.train.batch = 4;
  if (!flags.given("--elsewhere")) o.elsewhere = "";
}

// CS-ReFT with the options given; the others are at their defaults.
MethodOptions base_method(const ComparisonCommand& o) {
  const MethodOptions given{"csreft", o.method.given()};
  const auto defaults = options_json(*configure(given));
  MethodOptions base = given;
  for (const char* name : {"edit", "rank", "subspaces"}) base[name] = defaults.at(name);
  return base;
}

TaskSet load(const ComparisonCommand& o) {
  constexpr std::size_t word_examples = 160, word_tests = 60;
  require(o.train_files.empty() == o.test_files.empty(), "--train and --test go together: expected both or none");
  TaskSet tasks{load_tasks(o.train_files), load_tasks(o.test_files)};
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

std::optional<Task> load_elsewhere(const ComparisonCommand& o) {
  if (o.elsewhere.empty()) return std::nullopt;
  fs::path file = o.elsewhere;
  if (o.elsewhere == "auto") {
    if (o.test_files.empty()) return std::nullopt;
    file = fs::path(o.test_files.front()).parent_path() / "instruct.test.json";
    const auto is_it = [&](const std::string& other) { return fs::path(other).filename() == file.filename(); };
    if (!fs::exists(file) || std::ranges::any_of(o.test_files, is_it)) return std::nullopt;
    fmt::print("note: the drift is measured on {}\n", file.string());
  }
  Task task = load_task(file);
  for (auto& example : task.examples) example.answer.reset();
  return task;
}

std::vector<Variant> chosen_variants(const ComparisonCommand& o, const std::vector<Variant>& all) {
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
json settings(const ComparisonCommand& o, const std::string& name, const Setting& setting) {
  json wanted{{"ablation", name},
              {"model", setting.model.llama.fingerprint().text()},
              {"chat_template", setting.model.chat->name},
              {"system", o.model.system},
              {"train", contents(setting.tasks.train)},
              {"test", contents(setting.tasks.test)},
              {"tests", o.evaluation.max_examples},
              {"weights", o.model.weights}};
  if (setting.elsewhere) wanted["elsewhere"] = contents(std::span(&*setting.elsewhere, 1));
  return wanted;
}

// An earlier version's folder has another form of the model's fingerprint, and nothing elsewhere.
void keep_settings(const fs::path& folder, const json& wanted, const Fingerprint& model) {
  const auto file = folder / "ablation.json";
  if (!fs::exists(file)) {
    std::error_code ignored;
    const bool is_there = fs::is_directory(folder, ignored);
    require(!is_there || fs::is_empty(folder),
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

// Each variant with each seed; first of all the untrained model, unless it is a variant itself.
std::vector<Variant> cells_of_seeds(std::span<const Variant> variants, std::uint64_t first, std::int64_t seeds) {
  std::vector<Variant> cells;
  const bool has_untrained =
      std::ranges::any_of(variants, [](const Variant& variant) { return is_untrained(variant.method); });
  if (!has_untrained) cells.push_back(untrained_variant(variants, first));
  for (std::int64_t s = 0; s < seeds; ++s) {
    for (const auto& variant : variants) {
      // It has no seed.
      if (is_untrained(variant.method) && s > 0) continue;
      cells.push_back(variant);
      cells.back().train.seed = first + static_cast<std::uint64_t>(s);
    }
  }
  return cells;
}

std::size_t count_finished(std::span<const Variant> cells, const fs::path& folder) {
  return static_cast<std::size_t>(
      std::ranges::count_if(cells, [&](const Variant& cell) { return holds_finished_run(cell_folder(folder, cell)); }));
}

// Everything that is to be done, as this command sees it.
struct Plan {
  RateSearch search;
  std::vector<Variant> search_cells;
  std::vector<Variant> variants;
  std::uint64_t seed;
  std::int64_t seeds;
};

// The processes that do the work in this one's place; none: it does the work itself.
std::vector<Command> commands_of(const ComparisonCommand& o, Arguments arguments) {
  if (!o.hosts.empty()) return {command_of_hosts(o.experiment, arguments, o.hosts)};
  return o.jobs > 1 ? commands_of_jobs(o.experiment, arguments, o.jobs) : std::vector<Command>();
}

void delegate(const std::vector<Command>& commands, const Plan& plan, const Setting& setting) {
  const auto cells = cells_of_seeds(plan.variants, plan.seed, plan.seeds);
  const fs::path of_search = search_setting(setting).folder;
  run_side_by_side(commands, setting.folder, plan.search_cells.size() + cells.size(), [&] {
    return count_finished(plan.search_cells, of_search) + count_finished(cells, setting.folder);
  });
}

void work(Plan& plan, const Setting& setting, const std::function<void()>& after) {
  if (!plan.search_cells.empty()) {
    const Setting search = search_setting(setting);
    work_through(plan.search_cells, search, [] {});
    if (interrupted()) return;
    write_file_atomically(setting.folder / "rates.tsv", choose_rates(plan.variants, plan.search, search));
  }
  work_through(cells_of_seeds(plan.variants, plan.seed, plan.seeds), setting, after);
}

std::string own_section(const Ablation& ablation, std::span<const VariedOption> options, std::span<const Cell> cells) {
  return (ablation.section != nullptr ? ablation.section(cells) : "") + varied_section(cells, options);
}

std::vector<std::string> examples_of(std::string_view experiment, const Ablation* fixed) {
  const std::string files = " --train a.train.json --train b.train.json --test a.test.json --test b.test.json";
  if (fixed != nullptr) {
    return {fmt::format("./run {}", experiment), fmt::format("./run {} --smoke", experiment),
            fmt::format("./run {} --seeds 5 --jobs 7 --device cuda{} --out runs/mine", experiment, files)};
  }
  return {
      "./run ablate", "./run ablate router", "./run ablate gate --smoke",
      "./run ablate --vary rank=1,2,4,8 --vary lr=2e-3,4e-3 --jobs 2",
      fmt::format("./run ablate router --variants learned,manual --seeds 5 --examples 250{} --out runs/mine", files)};
}

// What the flags ask for, checked as far as it can be without the model.
void complete(const Flags& flags, ComparisonCommand& o) {
  o.model.check();
  o.train = o.train_flags.chosen(o.train, json::object());
  apply_smoke(flags, o);
  o.saves.apply(o.train);
  require(o.seeds >= 1, "--seeds {} is not possible: expected 1 or more", o.seeds);
  require(o.jobs >= 1, "--jobs {} is not possible: expected 1 or more", o.jobs);
  o.train.system = o.evaluation.system = o.model.system;
  o.train.quiet = o.evaluation.quiet = o.model.quiet;
}

fs::path folder_of(const ComparisonCommand& o, const std::string& name) {
  if (!o.out.empty()) return o.out;
  const std::string of_name = o.ablation == nullptr ? "-" + name : "", of_smoke = o.smoke ? "-smoke" : "";
  return fs::path("runs") / (o.experiment + of_name + of_smoke);
}

Plan plan_of(const ComparisonCommand& o, const std::vector<Variant>& all_variants, const Setting& setting,
             decltype(RateSearch::group) group) {
  Plan plan{.search = {.rates = RateSearch::parse(o.rates), .group = group},
            .search_cells = {},
            .variants = chosen_variants(o, all_variants),
            .seed = o.train.seed,
            .seeds = o.seeds};
  for (auto& variant : plan.variants) check_variant(variant, setting);
  if (!plan.search.rates.empty()) plan.search_cells = search_cells(plan.variants, plan.search, setting);
  return plan;
}

int run_plan(Plan& plan, const Comparison& comparison, const std::vector<Command>& commands) {
  const Setting& setting = comparison.setting;
  const std::string name(comparison.ablation.name);
  const InterruptGuard guard;
  fmt::print("{}: {} variants x {} seeds, into {}\n", name, plan.variants.size(), plan.seeds, setting.folder.string());
  std::fflush(stdout);
  if (!commands.empty()) {
    delegate(commands, plan, setting);
  } else {
    work(plan, setting, [&] { write_comparison(comparison); });
  }
  const auto cells = write_comparison(comparison);
  print_cells(cells, read_untrained(comparison));
  if (!cells.empty()) {
    fmt::print("\ntable: {}\nreport: {}\n", (setting.folder / (name + ".tsv")).string(),
               (setting.folder / "report.html").string());
  }
  if (!interrupted()) return 0;
  fmt::print("interrupted; the same command goes on\n");
  return interrupted_exit;
}

}  // namespace

int run_comparison(std::string_view experiment, const Ablation* fixed, Arguments arguments) {
  ComparisonCommand o;
  o.experiment = experiment;
  o.ablation = fixed;
  Flags flags(experiment, "Compares variants over seeds on the same data, in one command that can be interrupted.",
              examples_of(experiment, fixed));
  add_flags(flags, o);
  if (!flags.parse(arguments)) return 0;
  require(fixed != nullptr || !o.name.empty() || !o.vary.empty(),
          "there is nothing to compare: expected an ablation, one of {}, or --vary", names_of(ablations()));
  const Ablation& ablation = fixed != nullptr ? *fixed : o.name.empty() ? varied_ablation() : find_ablation(o.name);
  if (o.rates == "auto") o.rates = o.smoke ? "" : ablation.rates;
  const std::string name(ablation.name);
  std::vector<VariedOption> options;
  for (const auto& text : o.vary) options.push_back(VariedOption::parse(text));
  complete(flags, o);
  static_cast<void>(RateSearch::parse(o.rates));  // checks it
  TaskSet tasks = load(o);
  std::optional<Task> elsewhere = load_elsewhere(o);
  const LanguageModel model = o.model.load();
  const Setting setting{.model_flags = o.model,
                        .model = model,
                        .tasks = std::move(tasks),
                        .elsewhere = std::move(elsewhere),
                        .evaluation = o.evaluation,
                        .folder = folder_of(o, name),
                        .arguments = flags.arguments(),
                        .files = {.train = o.train_files, .test = o.test_files, .validation = {}}};
  const auto all_variants = varied(
      ablation.variants({base_method(o), o.train, model.llama, setting.tasks.train, setting.tasks.test, o.smoke}),
      options);
  Plan plan = plan_of(o, all_variants, setting, ablation.rate_group);
  const auto commands = commands_of(o, arguments);
  keep_settings(setting.folder, settings(o, name, setting), model.llama.fingerprint());
  const Comparison comparison{
      .ablation = ablation,
      .command = flags.command(),
      .variants = all_variants,
      .setting = setting,
      .seed = o.train.seed,
      .section = [&](std::span<const Cell> cells) { return own_section(ablation, options, cells); }};
  return run_plan(plan, comparison, commands);
}

}  // namespace csreft
