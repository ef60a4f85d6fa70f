// How a method does, while it is trained, on examples that it is not trained on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/tasks/task.h"
#include "experiments/training/evaluate.h"

namespace csreft {

// One measurement: a line of validation.jsonl.
struct ValidationRecord {
  std::int64_t step = 0;        // after this many optimizer steps
  double cross_entropy = 0.0;   // mean over the response tokens of all tasks
  std::optional<double> score;  // mean over the examples of the tasks that are scored by `metric`
  std::string metric = "accuracy";
};

nlohmann::json to_json(const ValidationRecord& record);
// With its newline.
std::string validation_line(const ValidationRecord& record);
std::string validation_lines(const std::vector<ValidationRecord>& records);
// The first lines, at most `most`; none where there is no file. Throws Error, naming the line, for a file of another
// form.
std::vector<ValidationRecord> read_validation(const std::filesystem::path& file, std::size_t most);
// "cross-entropy 1.2345, accuracy 0.810"
std::string describe(const ValidationRecord& record);
// The one of the lowest cross-entropy, the first of equals. `records` has at least one.
const ValidationRecord& best_of(const std::vector<ValidationRecord>& records);

// Measures a method on tasks.
class Validation {
 public:
  // Throws Error for tasks in which there is nothing to predict.
  Validation(const LanguageModel& model, std::vector<Task> tasks, EvaluationOptions options);

  // Nothing if a signal cut it short. A cross-entropy that is not finite stands alone: nothing can be generated then.
  std::optional<ValidationRecord> measure(const Method& method, std::int64_t step) const;
  const std::vector<Task>& tasks() const { return tasks_; }

 private:
  const LanguageModel& model_;
  std::vector<Task> tasks_;
  std::vector<Task> answered_;    // those that are scored by another metric than nll
  std::vector<double> n_tokens_;  // of the responses, by task
  EvaluationOptions options_;
};

}  // namespace csreft
