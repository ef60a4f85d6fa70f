// Cells in numbers: means over seeds, and tab-separated tables.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/ablations/cells.h"

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
// A header and a line for each variant and score: mean, deviation (empty for one seed) and number of seeds; the
// untrained model's scores last.
std::string summary_tsv(std::span<const Cell> cells, const std::optional<Cell>& untrained);

}  // namespace csreft
