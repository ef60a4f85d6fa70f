// Cells in numbers: means over seeds, and tab-separated tables.
#pragma once

#include <functional>
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

// The variant with which the one of this name is compared; empty: with none.
using ReferenceOf = std::string (*)(const std::string& variant);

struct Spread {
  double mean = 0.0;
  double deviation = 0.0;  // sample standard deviation; 0 for one value
  std::size_t n = 0;
};
// In print: nothing for a number that is not there.
std::string text_of(const std::optional<double>& value, int decimals = 4);
// Whether the training stopped at numbers that were not finite. Its scores are a result; its time is none, and a
// sequence that it cut short has no transfer.
bool has_diverged(const Cell& cell);
// The deviation, and that of the mean: deviation / sqrt(n). Nothing for one value.
std::optional<double> deviation_of(const Spread& spread);
std::optional<double> standard_error(const Spread& spread);
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

// Columns that an ablation has beside the others: their names, and their values of a cell.
struct FurtherColumns {
  std::vector<std::string> names;
  std::function<std::vector<std::string>(const Cell&)> of;
};
// A header and a line a cell: variant, seed, parameters, each task's score, their mean for each metric, the router's
// measures, the training's time and rate, the mean gate, the error of orthonormality, the drift, the time of a step,
// "yes" if the training diverged, how many numbers the adapter keeps beside those that are trained, and the further
// columns. What a cell does not have is empty.
std::string cells_tsv_with(std::span<const Cell> cells, const std::optional<Cell>& untrained,
                           const FurtherColumns& further);
// Without further ones.
std::string cells_tsv(std::span<const Cell> cells, const std::optional<Cell>& untrained);
// How much better a variant is than another by its mean accuracy over the tasks with answers.
struct VariantDifference {
  double mean = 0.0;  // of variant - reference, over the seeds that both have
  // Of the mean at 95 %, by a bootstrap of two levels: seeds are drawn anew, where there are several, and so are the
  // test examples of each task. With one seed it covers the draw of the examples alone.
  Interval interval{};
  Spread over_seeds{};  // of the differences of each seed, on the same examples
};
// Nothing unless both have answers to the same examples with a seed in common.
std::optional<VariantDifference> difference_of(std::span<const Cell> cells, std::string_view reference,
                                               std::string_view variant);

// The one of `variants` with which `variant` is compared: with the same values of what --vary varies, if that is there.
// Without `reference`, the first. Empty: with none.
std::string reference_in(const std::vector<std::string>& variants, const std::string& variant, ReferenceOf reference);

// A header and a line for each variant and score: mean, deviation (empty for one seed), number of seeds and, for the
// mean accuracy, the difference to the variant's reference (Ablation::reference), the ends of its interval, its
// deviation over seeds, the standard error that follows from that (difference_error, for several seeds: it covers the
// draw of seeds, on these examples), and the reference's name. The untrained model's scores come last.
std::string summary_tsv(std::span<const Cell> cells, const std::optional<Cell>& untrained,
                        ReferenceOf reference = nullptr);

}  // namespace csreft
