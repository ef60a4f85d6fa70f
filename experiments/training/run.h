// One method, trained and scored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "experiments/training/answers.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"

namespace csreft {

struct MethodRun {
  std::string label;  // in tables and pictures: the method's name
  std::shared_ptr<const Method> method;
  MethodOptions options{};
  ParameterCount parameters;
  TrainResult result{};
  std::vector<TaskScore> untrained{};  // of the model without the method; empty: not scored
  std::vector<TaskScore> scores{};
  std::vector<std::string> sequence{};  // the stems of the tasks, if they are learnt one after the other and scored
  std::vector<Answer> answers{};        // that the scores are of
  // What of the data is not used: {"train": {task: {"too_long": 1}}, "test": ...}; empty: nothing.
  nlohmann::json skipped = nlohmann::json::object();
  std::int64_t scored_step = 0;  // after how many steps the scores were taken
  std::int64_t total_steps = 0;  // that the training has; 0: not known
  std::size_t peak_memory_bytes = 0;
};

// A run that has not been trained yet.
MethodRun start_run(const std::string& label, const std::shared_ptr<const Method>& method);

// The scores of a run's tasks after each was learnt; of one whose tasks are learnt in sequence.
SequenceMatrix matrix_of(const MethodRun& run);

// The scores of the model without a method, on every task unless interrupted.
std::vector<TaskScore> score_untrained(const LanguageModel& model, std::span<const Task> tests,
                                       const EvaluationOptions& options);

// Whether scores are printed as soon as they are there, or are left to the caller: then it is only said that they are
// taken.
enum class ScoreLines { print, leave };

// Trains; then, on the first rank, measures the memory, scores on every task unless interrupted, prints the scores, and
// writes answers.jsonl. Scores and answers that the run has from an earlier end stay if no task, or fewer examples,
// could be scored anew. With `resume`, goes on from what the folder holds. Where the tasks are learnt in sequence
// (TrainOptions::order) all are scored after each, and the measures of transfer.h printed. Throws Error then, before
// any work, for tests that check_sequence() refuses.
void train_and_score(MethodRun& run, Trainer& trainer, const LanguageModel& model, std::span<const Task> tests,
                     const EvaluationOptions& evaluation, const std::filesystem::path& folder, bool resume = false,
                     ScoreLines lines = ScoreLines::print);

}  // namespace csreft
