// What the files of a run, of this version or of an earlier one, say of its results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/training/answers.h"
#include "experiments/training/run_options.h"
#include "experiments/training/validation.h"

namespace csreft {

struct RunRecord {
  std::string name;  // in tables and pictures
  std::string method;
  std::optional<std::int64_t> trainable_parameters{};
  double percent = 0.0, percent_without_router = 0.0;  // of the model's parameters
  double tokens_per_second = 0.0, seconds = 0.0;       // of training; 0: not known
  std::size_t peak_memory_bytes = 0;
  std::vector<TaskScore> scores{}, untrained{};  // without outputs
  std::vector<Answer> answers{};                 // that the scores are of; empty: not kept
  std::vector<double> losses{};                  // the cross-entropy of each step
  std::vector<ValidationRecord> validation{};
  std::int64_t kept_step = 0;  // 0: the last
  bool is_finished = false;
  RunOptions options{};
};

// Answers are left out where they are not those that the summary's scores are of, as after a kill between the two.
// Throws Error for a folder that is not that of a run or has no summary yet, and for unsound files.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace csreft
