#include "experiments/ablations/tables.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <numeric>

namespace csreft {
namespace {

// Each task that a cell is scored on, in the order in which they first occur, and so the metrics.
std::vector<std::string> all_tasks(std::span<const Cell> cells) {
  std::vector<std::string> names;
  for (const auto& cell : cells) {
    for (const auto& score : cell.scores) {
      if (std::ranges::find(names, score.task) == names.end()) names.push_back(score.task);
    }
  }
  return names;
}

std::vector<std::string> all_metrics(std::span<const Cell> cells) {
  std::vector<std::string> names;
  for (const auto& cell : cells) {
    for (const auto& metric : metrics_of(cell)) {
      if (std::ranges::find(names, metric) == names.end()) names.push_back(metric);
    }
  }
  return names;
}

std::optional<double> milliseconds_a_step(const Cell& cell) {
  if (cell.steps.empty()) return std::nullopt;
  return 1000.0 * cell.seconds / static_cast<double>(cell.steps.size());
}

std::string scores_of(const Cell& cell, const std::vector<std::string>& tasks,
                      const std::vector<std::string>& metrics) {
  std::string text;
  for (const auto& task : tasks) {
    const auto score = std::ranges::find(cell.scores, task, &TaskScore::task);
    text += score == cell.scores.end() ? "\t" : fmt::format("\t{:.4f}", score->value);
  }
  const auto own = metrics_of(cell);
  for (const auto& metric : metrics) {
    const bool has = std::ranges::find(own, metric) != own.end();
    text += has ? fmt::format("\t{:.4f}", mean_score(cell.scores, metric)) : "\t";
  }
  return text;
}

std::string difference_columns(const std::optional<VariantDifference>& difference, const std::string& reference) {
  if (!difference) return "\t\t\t\t\t\t";
  return fmt::format("\t{:.4f}\t{:.4f}\t{:.4f}\t{}\t{}\t{}", difference->mean, difference->interval.low,
                     difference->interval.high, text_of(deviation_of(difference->over_seeds)),
                     text_of(standard_error(difference->over_seeds)), reference);
}

// The variant with which `variant` is compared: with the same values of what --vary varies, if that is there.
std::string reference_in(const std::vector<std::string>& variants, const std::string& variant, ReferenceOf reference) {
  if (reference == nullptr) return variants.front();
  const auto [name, values] = split_varied_name(variant);
  const std::string other = reference(name);
  if (other.empty()) return other;
  return std::ranges::find(variants, other + values) != variants.end() ? other + values : other;
}

std::string summary_lines(const std::string& variant, std::span<const Cell> cells,
                          const std::optional<VariantDifference>& difference, const std::string& reference) {
  std::string text;
  const auto line = [&](const std::string& score, const Spread& s) {
    text += fmt::format(
        "{}\t{}\t{:.4f}\t{}\t{}{}\n", variant, score, s.mean, text_of(deviation_of(s)), s.n,
        difference_columns(score == "mean_" + answered_metric(cells.front().scores) ? difference : std::nullopt,
                           reference));
  };
  for (std::size_t t = 0; t < cells.front().scores.size(); ++t) {
    line(cells.front().scores[t].task, spread(cells, [t](const Cell& c) { return c.scores[t].value; }));
  }
  for (const auto& metric : metrics_of(cells.front())) {
    line("mean_" + metric, spread(cells, [&](const Cell& c) { return mean_score(c.scores, metric); }));
  }
  return text;
}

bool have_same_examples(const Cell& a, const Cell& b) {
  return std::ranges::equal(a.answers, b.answers, [](const Answer& x, const Answer& y) {
    return x.task == y.task && x.index == y.index && x.instruction == y.instruction && x.input == y.input &&
           x.expected == y.expected && x.metric == y.metric;
  });
}

// second - first of each example, by task.
std::vector<std::vector<double>> differences_by_task(const Cell& first, const Cell& second) {
  std::map<std::string, std::vector<double>> by_task;
  for (std::size_t i = 0; i < first.answers.size(); ++i) {
    by_task[first.answers[i].task].push_back(second.answers[i].score() - first.answers[i].score());
  }
  std::vector<std::vector<double>> tasks;
  for (auto& [task, values] : by_task) tasks.push_back(std::move(values));
  return tasks;
}

}  // namespace

std::string text_of(const std::optional<double>& value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : "";
}

bool has_diverged(const Cell& cell) { return cell.summary.contains("diverged"); }

std::optional<double> deviation_of(const Spread& spread) {
  return spread.n > 1 ? std::optional(spread.deviation) : std::nullopt;
}

std::optional<double> standard_error(const Spread& spread) {
  if (spread.n < 2) return std::nullopt;
  return spread.deviation / std::sqrt(static_cast<double>(spread.n));
}

Spread spread_of(std::span<const double> values) {
  if (values.empty()) return {};
  const auto n = static_cast<double>(values.size());
  Spread spread{.mean = std::accumulate(values.begin(), values.end(), 0.0) / n, .n = values.size()};
  for (const double v : values) spread.deviation += (v - spread.mean) * (v - spread.mean);
  spread.deviation = values.size() > 1 ? std::sqrt(spread.deviation / (n - 1.0)) : 0.0;
  return spread;
}

std::vector<std::string> variants_of(std::span<const Cell> cells) {
  std::vector<std::string> variants;
  for (const auto& cell : cells) {
    if (std::ranges::find(variants, cell.variant) == variants.end()) variants.push_back(cell.variant);
  }
  return variants;
}

std::vector<Cell> cells_of(std::span<const Cell> cells, std::string_view variant) {
  std::vector<Cell> some;
  std::ranges::copy_if(cells, std::back_inserter(some), [&](const Cell& cell) { return cell.variant == variant; });
  return some;
}

std::optional<RouterMeasures> mean_router(std::span<const Cell> cells) {
  if (!cells.front().router) return std::nullopt;
  const auto mean = [&](double RouterMeasures::*measure) {
    return spread(cells, [measure](const Cell& cell) { return (*cell.router).*measure; }).mean;
  };
  return RouterMeasures{mean(&RouterMeasures::normalised_mutual_information), mean(&RouterMeasures::dead_share),
                        mean(&RouterMeasures::mean_overlap)};
}

std::optional<double> drift(const Cell& cell, const std::optional<Cell>& untrained) {
  if (!cell.elsewhere || !untrained || !untrained->elsewhere) return std::nullopt;
  return *cell.elsewhere - *untrained->elsewhere;
}

std::string cells_tsv(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  return cells_tsv_with(cells, untrained, {});
}

std::string cells_tsv_with(std::span<const Cell> cells, const std::optional<Cell>& untrained,
                           const FurtherColumns& further) {
  if (cells.empty()) return "";
  const auto tasks = all_tasks(cells), metrics = all_metrics(cells);
  std::string text = fmt::format("variant\tseed\ttrainable_parameters\t{}", fmt::join(tasks, "\t"));
  for (const auto& metric : metrics) text += fmt::format("\tmean_{}", metric);
  text +=
      "\tnormalised_mutual_information\tdead_share\tmean_overlap\ttraining_seconds\ttokens_per_second\tmean_gate"
      "\torthonormality_error\tdrift\tmilliseconds_a_step\tdiverged";
  for (const auto& name : further.names) text += "\t" + name;
  text += "\n";
  for (const auto& cell : cells) {
    text += fmt::format("{}\t{}\t{}{}", cell.variant, cell.seed, cell.trainable_parameters,
                        scores_of(cell, tasks, metrics));
    if (cell.router) {
      text += fmt::format("\t{:.4f}\t{:.4f}\t{:.4f}", cell.router->normalised_mutual_information,
                          cell.router->dead_share, cell.router->mean_overlap);
    } else {
      text += "\t\t\t";
    }
    text += fmt::format(
        "\t{:.1f}\t{:.0f}\t{}\t{}\t{}\t{}\t{}", cell.seconds, cell.tokens_per_second, text_of(mean_gate(cell)),
        cell.orthonormality_error ? fmt::format("{:.1e}", *cell.orthonormality_error) : "",
        text_of(drift(cell, untrained)), text_of(milliseconds_a_step(cell), 2), has_diverged(cell) ? "yes" : "");
    if (further.of) text += fmt::format("\t{}", fmt::join(further.of(cell), "\t"));
    text += "\n";
  }
  return text;
}

std::optional<VariantDifference> difference_of(std::span<const Cell> cells, std::string_view reference,
                                               std::string_view variant) {
  const auto firsts = cells_of(cells, reference), seconds = cells_of(cells, variant);
  std::vector<std::vector<std::vector<double>>> seeds;  // [seeds][tasks][examples]
  std::vector<double> of_seeds;
  for (const auto& first : firsts) {
    const auto second = std::ranges::find(seconds, first.seed, &Cell::seed);
    if (second == seconds.end()) continue;
    const bool is_comparable = have_same_examples(first, *second) && have_same_examples(first, firsts.front());
    if (first.answers.empty() || !is_comparable) return std::nullopt;
    seeds.push_back(differences_by_task(first, *second));
    const std::string metric = answered_metric(first.scores);
    of_seeds.push_back(mean_score(second->scores, metric) - mean_score(first.scores, metric));
  }
  if (of_seeds.empty()) return std::nullopt;
  const Spread over_seeds = spread_of(of_seeds);
  return VariantDifference{.mean = over_seeds.mean, .interval = two_level_interval(seeds), .over_seeds = over_seeds};
}

std::string summary_tsv(std::span<const Cell> cells, const std::optional<Cell>& untrained, ReferenceOf reference) {
  std::string text =
      "variant\tscore\tmean\tdeviation\tseeds\tdifference\tdifference_low\tdifference_high\tdifference_deviation"
      "\tdifference_error\treference\n";
  const auto variants = variants_of(cells);
  for (const auto& variant : variants) {
    const std::string other = reference_in(variants, variant, reference);
    const auto difference = other.empty() || other == variant ? std::nullopt : difference_of(cells, other, variant);
    text += summary_lines(variant, cells_of(cells, variant), difference, other);
  }
  if (untrained) text += summary_lines("untrained", std::span(&*untrained, 1), std::nullopt, "");
  return text;
}

}  // namespace csreft
