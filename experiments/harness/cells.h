// The cells of a comparison: one variant trained with one seed. Each has a folder, so that an interrupted comparison
// goes on where it stopped.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/ablations/ablation.h"
#include "experiments/harness/run_folder.h"

namespace csreft {

// What a finished cell's summary.json and metrics.jsonl say.
struct Cell {
  std::string variant;
  std::uint64_t seed = 0;
  std::int64_t trainable_parameters = 0;
  double percent = 0.0, percent_without_router = 0.0;  // of the model's parameters
  double tokens_per_second = 0.0, seconds = 0.0;       // of training
  std::size_t peak_memory_bytes = 0;
  std::vector<TaskScore> scores;           // without outputs
  std::optional<RouterMeasures> router{};  // of a variant with gates
  std::vector<StepMetrics> steps;

  double mean_score() const;
};

// Reads a cell; nothing if it is not there or was interrupted. Throws Error for files that are not a run's.
std::optional<Cell> read_cell(const std::filesystem::path& folder, const std::string& variant);

// Trains (on from where it stopped, if it did), scores and writes the cell's folder. False if it was interrupted.
bool run_cell(const LanguageModel& model, const Variant& variant, std::span<const Task> train,
              std::span<const Task> test, const EvaluationOptions& evaluation, const std::filesystem::path& folder,
              Arguments arguments);

struct Spread {
  double mean = 0.0;
  double deviation = 0.0;  // sample standard deviation; 0 for one value
};
Spread spread_of(std::span<const double> values);

// A header and a line a cell: variant, seed, parameters, each task's score, their mean, and the router's measures.
std::string cells_tsv(std::span<const Cell> cells);

}  // namespace csreft
