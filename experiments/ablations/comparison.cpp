#include "experiments/ablations/comparison.h"

#include <algorithm>

#include "core/base/atomic_file.h"
#include "core/base/process_lock.h"
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

std::string seeds_text(std::span<const Cell> cells) {
  std::vector<std::uint64_t> seeds;
  for (const auto& cell : cells) {
    if (std::ranges::find(seeds, cell.seed) == seeds.end()) seeds.push_back(cell.seed);
  }
  return fmt::format("{}; loss curves and gates are those of a variant's first", fmt::join(seeds, ", "));
}

}  // namespace

std::vector<Cell> write_comparison(const Comparison& c) {
  const ProcessLock lock(c.folder, IfLocked::wait);
  auto cells = read_cells(c.folder, c.variants);
  if (cells.empty()) return cells;
  write_file_atomically(c.folder / (c.name + ".tsv"), cells_tsv(cells));
  write_file_atomically(c.folder / (c.name + "-summary.tsv"), summary_tsv(cells));
  RunReport report = start_report("Ablation: " + c.name, c.command, c.model, c.seed);
  report.about = c.reason;
  report.facts.emplace_back("seeds", seeds_text(cells));
  for (const auto& name : variants_of(cells)) add_variant(report, cells_of(cells, name));
  report.interrupted = interrupted();
  write_report(c.folder / "report.html", report);
  return cells;
}

void print_cells(std::span<const Cell> cells) {
  if (cells.empty()) return;
  const auto metrics = metrics_of(cells.front());
  fmt::print("\n{:<12} {:>5} {:>11}  ", "variant", "seeds", "parameters");
  for (const auto& metric : metrics) fmt::print("{:<16}", "mean " + metric);
  fmt::print(" {:>6} {:>6} {:>8}\n", "NMI", "dead", "overlap");
  for (const auto& name : variants_of(cells)) {
    const auto some = cells_of(cells, name);
    fmt::print("{:<12} {:>5} {:>11}  ", name, some.size(), some.front().trainable_parameters);
    for (const auto& metric : metrics) {
      const Spread mean = spread(some, [&](const Cell& c) { return mean_score(c.scores, metric); });
      fmt::print("{:.3f} {:<10}", mean.mean, mean.n > 1 ? fmt::format("+- {:.3f}", mean.deviation) : "");
    }
    if (const auto router = mean_router(some)) {
      fmt::print(" {:>6.2f} {:>6.2f} {:>8.3f}", router->normalised_mutual_information, router->dead_share,
                 router->mean_overlap);
    }
    fmt::print("\n");
  }
}

}  // namespace csreft
