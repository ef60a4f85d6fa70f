#include "experiments/ablations/tables.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

namespace csreft {
namespace {

std::string text_of(const std::optional<double>& value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : "";
}

// The cell of which a table's header is made: the first that has scores.
std::string header_of_tasks(const Cell& cell) {
  std::string text;
  for (const auto& score : cell.scores) text += fmt::format("\t{}", score.task);
  for (const auto& metric : metrics_of(cell)) text += fmt::format("\tmean_{}", metric);
  return text;
}

std::string scores_of(const Cell& cell) {
  std::string text;
  for (const auto& score : cell.scores) text += fmt::format("\t{:.4f}", score.value);
  for (const auto& metric : metrics_of(cell)) text += fmt::format("\t{:.4f}", mean_score(cell.scores, metric));
  return text;
}

std::string summary_lines(const std::string& variant, std::span<const Cell> cells) {
  std::string text;
  const auto line = [&](const std::string& score, const Spread& s) {
    text += fmt::format("{}\t{}\t{:.4f}\t{}\t{}\n", variant, score, s.mean,
                        s.n > 1 ? fmt::format("{:.4f}", s.deviation) : "", s.n);
  };
  for (std::size_t t = 0; t < cells.front().scores.size(); ++t) {
    line(cells.front().scores[t].task, spread(cells, [t](const Cell& c) { return c.scores[t].value; }));
  }
  for (const auto& metric : metrics_of(cells.front())) {
    line("mean_" + metric, spread(cells, [&](const Cell& c) { return mean_score(c.scores, metric); }));
  }
  return text;
}

}  // namespace

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
  if (cells.empty()) return "";
  std::string text = "variant\tseed\ttrainable_parameters" + header_of_tasks(cells.front());
  text +=
      "\tnormalised_mutual_information\tdead_share\tmean_overlap\ttraining_seconds\ttokens_per_second\tmean_gate"
      "\torthonormality_error\tdrift\n";
  for (const auto& cell : cells) {
    text += fmt::format("{}\t{}\t{}{}", cell.variant, cell.seed, cell.trainable_parameters, scores_of(cell));
    if (cell.router) {
      text += fmt::format("\t{:.4f}\t{:.4f}\t{:.4f}", cell.router->normalised_mutual_information,
                          cell.router->dead_share, cell.router->mean_overlap);
    } else {
      text += "\t\t\t";
    }
    text +=
        fmt::format("\t{:.0f}\t{:.0f}\t{}\t{}\t{}\n", cell.seconds, cell.tokens_per_second, text_of(mean_gate(cell), 4),
                    cell.orthonormality_error ? fmt::format("{:.1e}", *cell.orthonormality_error) : "",
                    text_of(drift(cell, untrained), 4));
  }
  return text;
}

std::string summary_tsv(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  std::string text = "variant\tscore\tmean\tdeviation\tseeds\n";
  for (const auto& variant : variants_of(cells)) text += summary_lines(variant, cells_of(cells, variant));
  if (untrained) text += summary_lines("untrained", std::span(&*untrained, 1));
  return text;
}

}  // namespace csreft
