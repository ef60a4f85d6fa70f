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
  std::vector<Answer> answers{};  // that the scores are of
  std::int64_t scored_step = 0;   // after how many steps the scores were taken
  std::int64_t total_steps = 0;   // that the training has; 0: not known
  std::size_t peak_memory_bytes = 0;
};

// A run that has not been trained yet.
MethodRun start_run(const std::string& label, const std::shared_ptr<const Method>& method);

// The scores of the model without a method, on every task unless interrupted.
std::vector<TaskScore> score_untrained(const LanguageModel& model, std::span<const Task> tests,
                                       const EvaluationOptions& options);

// Trains, measures the memory, scores on every task unless interrupted, prints the scores, and writes answers.jsonl.
// Scores and answers that the run has from an earlier end stay if no task, or fewer examples, could be scored anew.
// With `resume`, goes on from what the folder holds.
void train_and_score(MethodRun& run, Trainer& trainer, const LanguageModel& model, std::span<const Task> tests,
                     const EvaluationOptions& evaluation, const std::filesystem::path& folder, bool resume = false);

}  // namespace csreft
