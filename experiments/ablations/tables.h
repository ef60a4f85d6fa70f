// Cells in numbers: means over seeds, and tab-separated tables.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/ablations/cells.h"
#include "experiments/report/uncertainty.h"

namespace csreft {

// The names of the variants, in the order in which they first occur.
std::vector<std::string> variants_of(std::span<const Cell> cells);
std::vector<Cell> cells_of(std::span<const Cell> cells, std::string_view variant);

struct Spread {
  double mean = 0.0;
  double deviation = 0.0;  // sample standard deviation; 0 for one value
  std::size_t n = 0;
};
Spread spread_of(std::span<const double> values);
// Of a value of each cell.
template <typename Value>
Spread spread(std::span<const Cell> cells, Value value) {
  std::vector<double> values;
  for (const auto& cell : cells) values.push_back(value(cell));
  return spread_of(values);
}

// The means of the router's measures over the cells of one variant, at least one; nothing if it has no gates.
std::optional<RouterMeasures> mean_router(std::span<const Cell> cells);

// What training did to text that is none of the tasks: its mean nll less that of the untrained model, in nats a token.
// Nothing where either is not known.
std::optional<double> drift(const Cell& cell, const std::optional<Cell>& untrained);

// A header and a line a cell: variant, seed, parameters, each task's score, their mean for each metric, the router's
// measures, the training's time and rate, the mean gate, the error of orthonormality and the drift. What a cell does
// not have is empty.
std::string cells_tsv(std::span<const Cell> cells, const std::optional<Cell>& untrained);
// How much better a variant is than another by its mean accuracy over the tasks with answers.
struct VariantDifference {
  double mean = 0.0;    // of variant - reference, over the seeds that both have
  Interval interval{};  // of the mean at 95 %, as the test examples are drawn anew: each by its mean over those seeds
  Spread over_seeds{};  // of the differences of each seed
};
// Nothing unless both have answers to the same examples with a seed in common.
std::optional<VariantDifference> difference_of(std::span<const Cell> cells, std::string_view reference,
                                               std::string_view variant);

// A header and a line for each variant and score: mean, deviation (empty for one seed), number of seeds and, for the
// mean accuracy, the difference to the variant `reference` (empty: the first), the ends of its interval and its
// deviation over seeds. The untrained model's scores come last.
std::string summary_tsv(std::span<const Cell> cells, const std::optional<Cell>& untrained,
                        std::string_view reference = {});

}  // namespace csreft
