// metrics.jsonl: a line for each optimizer step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace csreft {

// One optimizer step.
struct StepMetrics {
  std::int64_t step = 0;  // 1-based
  double loss = 0.0;      // cross-entropy over the step's response tokens + lambda * penalty
  double cross_entropy = 0.0;
  double penalty = 0.0;  // Omega of the step's gates, before lambda
  double gradient_norm = 0.0;
  double lr = 0.0;
  std::int64_t tokens = 0;
  double seconds = 0.0;
};

// With its newline.
std::string metrics_line(const StepMetrics& metrics);

// Throws Error, naming the line, for a file that metrics_line did not write.
std::vector<StepMetrics> read_metrics(const std::filesystem::path& file);

}  // namespace csreft
