#include "experiments/ablations/command.h"

#include <chrono>
#include <utility>

#include "core/base/atomic_file.h"
#include "core/base/process_lock.h"
#include "core/base/split.h"
#include "experiments/ablations/command_flags.h"
#include "experiments/ablations/comparison.h"
#include "experiments/ablations/kept_settings.h"
#include "experiments/ablations/rates.h"
#include "experiments/ablations/varied.h"
#include "experiments/ablations/work.h"
#include "experiments/ablations/workers.h"
#include "experiments/cli/name_list.h"
#include "experiments/cli/progress.h"
#include "experiments/tasks/read.h"
#include "experiments/tasks/wordnet.h"
#include "experiments/training/run_flags.h"
#include "experiments/training/run_folder.h"

namespace csreft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

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

// CS-ReFT with the options given; the others are at their defaults.
MethodOptions base_method(const ComparisonCommand& o) {
  const MethodOptions given{"csreft", o.method.given()};
  const auto defaults = options_json(*configure(given));
  MethodOptions base = given;
  for (const char* name : {"edit", "rank", "subspaces"}) base[name] = defaults.at(name);
  return base;
}

// What the training files hold, the part of it that is learnt from, and the rest.
struct LoadedTasks {
  TaskSet tasks;
  std::vector<Task> spare;
};

// Of each training task, the examples behind those that are learnt from.
std::vector<Task> spare_of(std::vector<Task> whole, std::span<const Task> learnt) {
  for (std::size_t t = 0; t < whole.size(); ++t) {
    auto& examples = whole[t].examples;
    examples.erase(examples.begin(), examples.begin() + std::ssize(learnt[t].examples));
  }
  return whole;
}

LoadedTasks load(const ComparisonCommand& o) {
  constexpr std::size_t word_examples = 160, word_tests = 60;
  require(o.train_files.empty() == o.test_files.empty(), "--train and --test go together: expected both or none");
  const DataReading reading = o.data.reading();
  std::vector<std::string> notes;
  TaskSet tasks{load_tasks(o.train_files, reading, &notes), load_tasks(o.test_files, reading, &notes)};
  print_notes(notes);
  if (o.train_files.empty()) {
    fmt::print("note: no --train, so the tasks are four word skills of WordNet, {} examples each\n", word_examples);
    for (auto& skill : wordnet_skills(wordnet_dict, word_examples, word_tests, o.train.seed)) {
      tasks.train.push_back(std::move(skill.train));
      tasks.test.push_back(std::move(skill.test));
    }
  }
  std::vector<Task> whole = tasks.train;
  o.sizes.apply(tasks.train, o.evaluation);
  require(!o.bare || tasks.train.size() == tasks.test.size(),
          "--bare needs the test file of each training file: expected {} test files, not {}", tasks.train.size(),
          tasks.test.size());
  for (std::size_t t = 0; o.bare && t < tasks.train.size(); ++t) remove_template(tasks.train[t], tasks.test[t]);
  // Words are taken away from the examples of a run alone.
  auto spare = o.bare ? std::vector<Task>() : spare_of(std::move(whole), tasks.train);
  return {std::move(tasks), std::move(spare)};
}

std::optional<Task> load_elsewhere(const ComparisonCommand& o) {
  if (o.elsewhere.empty()) return std::nullopt;
  fs::path file = o.elsewhere;
  if (o.elsewhere == "auto") {
    if (o.test_files.empty()) return std::nullopt;
    file = parse_data_file(o.test_files.front()).path.parent_path() / "instruct.test.json";
    const auto is_it = [&](const std::string& other) {
      return parse_data_file(other).path.filename() == file.filename();
    };
    if (!fs::exists(file) || std::ranges::any_of(o.test_files, is_it)) return std::nullopt;
    fmt::print("note: the drift is measured on {} after each training; --elsewhere '' leaves it out\n", file.string());
  }
  Task task = load_task(file);
  for (auto& example : task.examples) example.answer.reset();
  return task;
}

// Whatever is trained or scored later, its prompts fit the model.
void skip_too_long(const LanguageModel& model, const ComparisonCommand& o, LoadedTasks& loaded,
                   std::optional<Task>& elsewhere) {
  skip_unusable(model, loaded.tasks.test, o.evaluation);
  for (auto& task : loaded.tasks.train) skip_too_long(model, task, o.train.system);
  for (auto& task : loaded.spare) {
    if (!task.examples.empty()) skip_too_long(model, task, o.train.system);
  }
  if (elsewhere) skip_too_long(model, *elsewhere, o.evaluation.system, o.evaluation.max_examples);
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
  json train = to_json(o.train);
  train.erase("seed");
  // Comparisons of earlier versions have none.
  if (o.train.loss_on == TrainOptions().loss_on) train.erase("loss_on");
  json wanted{{"ablation", name},
              {"model", setting.model.llama.fingerprint().text()},
              {"chat_template", setting.model.chat->source},
              {"system", o.model.system},
              {"train", contents(setting.tasks.train)},
              {"test", contents(setting.tasks.test)},
              {"tests", o.evaluation.max_examples},
              {"weights", o.model.weights},
              {"method", to_json(base_method(o))},
              {"training", std::move(train)}};
  if (!o.evaluation.metric.empty()) wanted["metric"] = o.evaluation.metric;
  // The first seed chooses the rates of all.
  if (!o.rates.empty()) wanted["rates"] = {{"list", o.rates}, {"seed", o.train.seed}};
  if (setting.elsewhere) wanted["elsewhere"] = contents(std::span(&*setting.elsewhere, 1));
  return wanted;
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
  std::vector<Variant> searching, search_cells;
  std::vector<Variant> variants;
  std::uint64_t seed = 0;
  std::int64_t seeds = 0;
};

// The processes that do the work in this one's place; none: it does the work itself.
// Each has all flags on its command line, and no file of flags, which could say --jobs once more.
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

// Gives the variants their rates, and keeps how these were chosen.
void use_rates(Plan& plan, std::span<const RateScores> scores, const fs::path& folder) {
  const auto& rates = plan.search.rates;
  for (const auto& of : scores) {
    if (rates.size() < 3 || (of.best > 0 && of.best + 1 < rates.size())) continue;
    fmt::print("note: {} did best with the {} rate of the list, {}\n", of.group, of.best == 0 ? "smallest" : "largest",
               rates[of.best]);
  }
  apply_rates(plan.variants, scores, plan.search);
  const ProcessLock lock(folder, IfLocked::wait);
  write_file_atomically(folder / "rates.tsv", rates_table(scores, plan.search));
}

void work(Plan& plan, const Setting& setting, const std::function<void()>& after) {
  if (!plan.search_cells.empty()) {
    const Setting search = search_setting(setting);
    work_through(plan.search_cells, search, [] {});
    if (interrupted()) return;
    use_rates(plan, read_rate_scores(plan.searching, plan.search, search), setting.folder);
  }
  work_through(cells_of_seeds(plan.variants, plan.seed, plan.seeds), setting, after);
}

std::string own_section(const Ablation& ablation, std::span<const VariedOption> options, std::span<const Cell> cells) {
  return (ablation.section != nullptr ? ablation.section(cells) : "") + varied_section(cells, options);
}

// Whether rates are searched for, and which.
void choose_search(const Flags& flags, const Ablation& ablation, std::span<const VariedOption> options,
                   ComparisonCommand& o) {
  const bool varies_rate = std::ranges::find(options, "lr", &VariedOption::name) != options.end();
  const bool has_own = flags.given("--lr") || varies_rate;
  if (o.rates == "auto") o.rates = o.smoke || has_own ? "" : ablation.rates;
  require(o.rates.empty() || !has_own, "--rates and {} do not go together: expected one of them",
          varies_rate ? "--vary lr" : "--lr");
}

fs::path folder_of(const ComparisonCommand& o, const std::string& name) {
  if (!o.out.empty()) return o.out;
  const std::string of_name = o.ablation == nullptr ? "-" + name : "", of_smoke = o.smoke ? "-smoke" : "";
  return fs::path("runs") / (o.experiment + of_name + of_smoke);
}

Plan plan_of(const ComparisonCommand& o, RateSearch search, const std::vector<Variant>& all_variants,
             const Setting& setting) {
  Plan plan;
  plan.search = std::move(search);
  plan.variants = chosen_variants(o, all_variants);
  plan.seed = o.train.seed;
  plan.seeds = o.seeds;
  for (auto& variant : plan.variants) check_variant(variant, setting);
  if (plan.search.rates.empty()) return plan;
  plan.searching = searching_variants(plan.variants, all_variants, plan.search);
  for (auto& variant : plan.searching) check_variant(variant, setting);
  plan.search_cells = search_cells(plan.searching, plan.search, setting);
  return plan;
}

// By the processes of `commands` or, if there are none, by this one.
void make_cells(Plan& plan, const Comparison& comparison, const std::vector<Command>& commands) {
  if (!commands.empty()) return delegate(commands, plan, comparison.setting);
  constexpr auto pause = std::chrono::minutes(1);
  auto last = std::chrono::steady_clock::now();
  work(plan, comparison.setting, [&] {
    if (std::chrono::steady_clock::now() - last < pause) return;
    write_comparison(comparison);
    last = std::chrono::steady_clock::now();
  });
}

int run_plan(Plan& plan, const Comparison& comparison, const std::vector<Command>& commands) {
  const Setting& setting = comparison.setting;
  const std::string name(comparison.ablation.name);
  const InterruptGuard guard;
  fmt::print("{}: {} variants, {} cells{}, into {}\n", name, plan.variants.size(),
             cells_of_seeds(plan.variants, plan.seed, plan.seeds).size(),
             plan.search_cells.empty() ? "" : fmt::format(" after {} that choose rates", plan.search_cells.size()),
             setting.folder.string());
  std::fflush(stdout);
  try {
    make_cells(plan, comparison, commands);
  } catch (const Error&) {
    write_comparison(comparison);  // what there is
    throw;
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
  const std::string name(ablation.name);
  std::vector<VariedOption> options;
  for (const auto& text : o.vary) options.push_back(VariedOption::parse(text));
  choose_search(flags, ablation, options, o);
  complete(flags, o);
  require(!ablation.one_at_a_time || (o.jobs == 1 && o.hosts.empty()),
          "{} measures times, and takes neither --jobs nor --hosts: expected one process", name);
  RateSearch search;
  search.rates = RateSearch::parse(o.rates);
  search.group = ablation.rate_group;
  const MethodOptions base = base_method(o);
  begin_work();
  LoadedTasks loaded = load(o);
  std::optional<Task> elsewhere = load_elsewhere(o);
  const LanguageModel model = o.model.load();
  skip_too_long(model, o, loaded, elsewhere);
  const Setting setting{.model_flags = o.model,
                        .model = model,
                        .tasks = std::move(loaded.tasks),
                        .spare = std::move(loaded.spare),
                        .elsewhere = std::move(elsewhere),
                        .evaluation = o.evaluation,
                        .folder = folder_of(o, name),
                        .arguments = flags.arguments(),
                        .files = {.train = o.train_files, .test = o.test_files, .validation = {}}};
  const auto all_variants = varied(
      ablation.variants({base, o.train, model.llama, setting.tasks.train, setting.tasks.test, o.smoke}), options);
  Plan plan = plan_of(o, std::move(search), all_variants, setting);
  const auto commands = commands_of(o, flags.arguments());
  keep_settings(setting.folder, settings(o, name, setting), model.llama.fingerprint());
  tell_template(model);
  const Comparison comparison{
      .ablation = ablation,
      .title = fixed != nullptr ? name : "Ablation: " + name,
      .command = flags.command(),
      .variants = all_variants,
      .setting = setting,
      .seed = o.train.seed,
      .section = [&](std::span<const Cell> cells) { return own_section(ablation, options, cells); }};
  return run_plan(plan, comparison, commands);
}

}  // namespace csreft
