// The cells of a comparison: one variant trained with one seed. Each has a folder, so that an interrupted comparison
// goes on where it stopped, and several processes can share the work.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/ablations/setting.h"
#include "experiments/training/summary.h"

namespace csreft {

// What the files of a finished cell say.
struct Cell {
  std::string variant;
  std::uint64_t seed = 0;
  std::int64_t trainable_parameters = 0;
  double percent = 0.0, percent_without_router = 0.0;  // of the model's parameters
  double tokens_per_second = 0.0, seconds = 0.0;       // of training
  std::size_t peak_memory_bytes = 0;
  std::vector<TaskScore> scores;                 // without outputs
  std::optional<double> elsewhere{};             // mean nll a token of the setting's text `elsewhere`
  std::optional<RouterMeasures> router{};        // of a variant with gates
  std::optional<double> orthonormality_error{};  // of a variant with parameters on the Stiefel manifold, at the end
  std::vector<StepMetrics> steps;
  std::vector<Answer> answers{};  // to the test examples of the tasks that have answers
  double lr = 0.0;                // that it was trained with
  nlohmann::json summary;         // the whole of summary.json
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
// its tasks.
void check_variant(Variant& variant, const Setting& setting);

// Trains (on from where it stopped, if it did), scores and writes the cell's folder; read_cell says whether it came to
// its end. `number` goes before its name on the screen. Of a method that trains the model's weights, the scores stay
// and the weights do not. False, and nothing done, where another process works in the folder or has just finished it.
// Throws Error for a folder that is not a cell's.
bool run_cell(const Variant& variant, const Setting& setting, const std::string& number);

}  // namespace csreft
