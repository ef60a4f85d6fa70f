// The cells of a comparison: one variant trained with one seed. Each has a folder, so that an interrupted comparison
// goes on where it stopped.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/ablations/variant.h"
#include "experiments/training/config.h"
#include "experiments/training/summary.h"

namespace csreft {

// What a finished cell's summary.json and metrics.jsonl say.
struct Cell {
  std::string variant;
  std::uint64_t seed = 0;
  std::int64_t trainable_parameters = 0;
  double percent = 0.0, percent_without_router = 0.0;  // of the model's parameters
  double tokens_per_second = 0.0, seconds = 0.0;       // of training
  std::size_t peak_memory_bytes = 0;
  std::vector<TaskScore> scores;                 // without outputs
  std::optional<RouterMeasures> router{};        // of a variant with gates
  std::optional<double> orthonormality_error{};  // of a variant with parameters on the Stiefel manifold, at the end
  std::vector<StepMetrics> steps;
};

// The mean gate over all subspaces and test prompts: 1 where all are open, 1 / k where one of k is. Nothing for a cell
// without gates.
std::optional<double> mean_gate(const Cell& cell);

// The metrics of the cell's tasks, each once.
std::vector<std::string> metrics_of(const Cell& cell);

// Reads a cell; nothing if it is not there or not finished. Throws Error for files that are not a run's, and for a run
// of other options than the variant's.
std::optional<Cell> read_cell(const std::filesystem::path& folder, const Variant& variant);

// Every finished cell of a comparison's folder, whoever made it: by seed, and for each in the order of `variants`.
// Cells of other names follow those. Throws Error for files that are not a run's.
std::vector<Cell> read_cells(const std::filesystem::path& folder, std::span<const Variant> variants);
// The folder of a cell within that of its comparison.
std::filesystem::path cell_folder(const std::filesystem::path& folder, const Variant& variant);

// Resolves the options that depend on the model. Throws Error for a variant that cannot be trained on, or scored on,
// these tasks.
void check_variant(const LanguageModel& model, Variant& variant, std::span<const Task> train,
                   std::span<const Task> test, const EvaluationOptions& evaluation);

// Trains (on from where it stopped, if it did), scores and writes the cell's folder; read_cell says whether it came to
// its end. Throws Error for a folder that is not a cell's, and for one that another process works in.
void run_cell(const LanguageModel& model, const Variant& variant, std::span<const Task> train,
              std::span<const Task> test, const EvaluationOptions& evaluation, const std::filesystem::path& where,
              Arguments arguments, const DataFiles& files);

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

// A header and a line a cell: variant, seed, parameters, each task's score, their mean for each metric, the router's
// measures, the training's time and rate, and the error of orthonormality. What a cell does not have is empty.
std::string cells_tsv(std::span<const Cell> cells);
// A header and a line for each variant and score: mean, deviation and number of seeds.
std::string summary_tsv(std::span<const Cell> cells);

}  // namespace csreft
