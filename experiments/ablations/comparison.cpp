#include "experiments/ablations/comparison.h"

#include <algorithm>

#include "core/base/atomic_file.h"
#include "core/base/process_lock.h"
#include "core/base/temporary.h"
#include "core/base/version.h"
#include "experiments/cli/progress.h"

namespace csreft {
namespace {

void add_variant(RunReport& report, std::span<const Cell> some) {
  const Cell& first = some.front();
  const std::string& name = first.variant;
  std::vector<double> losses;
  for (const auto& step : first.steps) losses.push_back(step.cross_entropy);
  report.methods.push_back({.name = name,
                            .trainable_parameters = first.trainable_parameters,
                            .percent = first.percent,
                            .percent_without_router = first.percent_without_router,
                            .tokens_per_second = spread(some, [](const Cell& c) { return c.tokens_per_second; }).mean,
                            .seconds = spread(some, [](const Cell& c) { return c.seconds; }).mean,
                            .peak_memory_bytes = first.peak_memory_bytes,
                            .train_loss = losses});
  // Which subspace a task takes changes from seed to seed: a mean over seeds would show nothing.
  const std::string one_seed = fmt::format("{}, seed {}", name, first.seed);
  RunReport::Gates gates{.method = one_seed, .tasks = {}, .mean_alpha = {}};
  for (std::size_t t = 0; t < first.scores.size(); ++t) {
    const TaskScore& score = first.scores[t];
    const Spread over_seeds = spread(some, [t](const Cell& c) { return c.scores[t].value; });
    report.scores.push_back({.task = score.task,
                             .metric = score.metric,
                             .method = name,
                             .value = over_seeds.mean,
                             .n = score.n,
                             .deviation = some.size() > 1 ? std::optional(over_seeds.deviation) : std::nullopt});
    if (score.mean_gates.empty()) continue;
    gates.tasks.push_back(score.task);
    gates.mean_alpha.push_back(score.mean_gates);
  }
  if (const auto router = mean_router(some)) {
    report.gates.push_back(std::move(gates));
    report.routers.push_back({name, *router});
    report.gate_histories.push_back(gate_history(one_seed, first.steps));
  }
}

// By how much each variant is better than its reference, where that is known.
void add_differences(RunReport& report, std::span<const Cell> cells, ReferenceOf reference) {
  const auto variants = variants_of(cells);
  for (const auto& variant : variants) {
    const std::string base = reference_in(variants, variant, reference);
    const auto difference = base.empty() || base == variant ? std::nullopt : difference_of(cells, base, variant);
    if (!difference) continue;
    report.differences.push_back({.method = variant,
                                  .base = base,
                                  .task = {},
                                  .metric = answered_metric(cells.front().scores),
                                  .value = difference->mean,
                                  .error = standard_error(difference->over_seeds),
                                  .interval = difference->interval,
                                  .kind = difference->over_seeds.n > 1
                                              ? fmt::format("{} seeds and the examples", difference->over_seeds.n)
                                              : "the examples, one seed"});
  }
}

std::string seeds_text(std::span<const Cell> cells) {
  std::vector<std::uint64_t> seeds;
  for (const auto& cell : cells) {
    if (std::ranges::find(seeds, cell.seed) == seeds.end()) seeds.push_back(cell.seed);
  }
  return fmt::format("{}; loss curves and gates are those of a variant's first", fmt::join(seeds, ", "));
}

// What killed processes have left: parts of tables, whose writers hold the folder's lock, and locks of cells that
// nobody holds.
void remove_remainders(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  remove_temporaries(folder);
  std::vector<fs::path> cells;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && fs::exists(entry.path() / lock_file_name)) cells.push_back(entry.path());
  }
  for (const auto& cell : cells) {
    try {
      const ProcessLock lock(cell);  // its end removes the file
    } catch (const FolderInUse&) {
      continue;
    }
  }
}

}  // namespace

Variant untrained_variant(std::span<const Variant> variants, std::uint64_t seed) {
  const auto found = std::ranges::find_if(variants, [](const Variant& v) { return is_untrained(v.method); });
  Variant variant = found != variants.end()
                        ? *found
                        : Variant{.name = std::string(untrained_label), .method = untrained_options(), .train = {}};
  variant.train.seed = seed;
  return variant;
}

std::optional<Cell> read_untrained(const Comparison& c) {
  // It has no seed and no name of its own where it is no variant: of two, both are the same model.
  for (const auto variants : {c.variants, std::span<const Variant>()}) {
    const Variant variant = untrained_variant(variants, c.seed);
    if (auto cell = read_cell(cell_folder(c.setting.folder, variant), variant)) return cell;
  }
  return std::nullopt;
}

std::vector<Cell> write_comparison(const Comparison& c) {
  const auto& folder = c.setting.folder;
  const ProcessLock lock(folder, IfLocked::wait);
  remove_remainders(folder);
  auto cells = read_cells(folder, c.variants);
  const auto untrained = read_untrained(c);
  std::erase_if(cells, [](const Cell& cell) { return cell.variant == untrained_label; });
  if (cells.empty()) return cells;
  const std::string name(c.ablation.name);
  const auto table = c.ablation.cells_table != nullptr ? c.ablation.cells_table : cells_tsv;
  write_file_atomically(folder / (name + ".tsv"), table(cells, untrained));
  write_file_atomically(folder / (name + "-summary.tsv"), c.ablation.summary_table != nullptr
                                                              ? c.ablation.summary_table(cells, untrained)
                                                              : summary_tsv(cells, untrained, c.ablation.reference));
  for (const auto& further :
       c.ablation.further_tables != nullptr ? c.ablation.further_tables(cells) : std::vector<NamedTable>()) {
    write_file_atomically(folder / fmt::format("{}-{}.tsv", name, further.suffix), further.text);
  }
  const nlohmann::json made_by{{"command", c.command}, {"version", program_version()}, {"commit", program_commit()}};
  write_file_atomically(folder / (name + ".json"), made_by.dump(2) + "\n");
  RunReport report = start_report(c.title, c.command, c.setting.model, c.seed);
  report.about = c.ablation.reason;
  report.facts.emplace_back("seeds", seeds_text(cells));
  if (c.section) report.section = c.section(cells);
  if (untrained) add_scores(report, std::string(untrained_label), untrained->scores);
  for (const auto& variant : variants_of(cells)) add_variant(report, cells_of(cells, variant));
  add_differences(report, cells, c.ablation.reference);
  report.interrupted = interrupted();
  write_report(folder / "report.html", report);
  return cells;
}

void print_cells(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  if (cells.empty()) return;
  const auto metrics = metrics_of(cells.front());
  std::size_t width = 12;
  for (const auto& cell : cells) width = std::max(width, cell.variant.size());
  fmt::print("\n{:<{}} {:>5} {:>11}  ", "variant", width, "seeds", "parameters");
  for (const auto& metric : metrics) fmt::print("{:<16}", "mean " + metric);
  fmt::print(" {:>6} {:>6} {:>8} {:>7}\n", "NMI", "dead", "overlap", "drift");
  const auto line = [&](const std::string& name, std::span<const Cell> some) {
    fmt::print("{:<{}} {:>5} {:>11}  ", name, width, some.size(), some.front().trainable_parameters);
    for (const auto& metric : metrics) {
      const Spread mean = spread(some, [&](const Cell& c) { return mean_score(c.scores, metric); });
      fmt::print("{:.3f} {:<10}", mean.mean, mean.n > 1 ? fmt::format("+- {:.3f}", mean.deviation) : "");
    }
    std::string end;
    if (const auto router = mean_router(some)) {
      end = fmt::format(" {:>6.2f} {:>6.2f} {:>8.3f}", router->normalised_mutual_information, router->dead_share,
                        router->mean_overlap);
    }
    if (drift(some.front(), untrained)) {
      const Spread mean = spread(some, [&](const Cell& c) { return drift(c, untrained).value_or(0.0); });
      end = fmt::format("{:<24} {:>+7.3f}", end, mean.mean);
    }
    fmt::print("{}\n", end);
  };
  const bool is_variant = untrained && std::ranges::find(cells, untrained->variant, &Cell::variant) != cells.end();
  if (untrained && !is_variant) line(untrained->variant, std::span(&*untrained, 1));
  for (const auto& name : variants_of(cells)) line(name, cells_of(cells, name));
  if (std::ranges::any_of(cells, [](const Cell& cell) { return cell.router.has_value(); })) {
    fmt::print("NMI (of task and largest gate) and dead (share of subspaces): of the test prompts alone\n");
  }
}

}  // namespace csreft
