// metrics.jsonl: a line for each optimizer step, and how such a file is written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
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
  // The mean gates of each task's examples in the step, by the task's name; empty for a method without gates.
  std::map<std::string, std::vector<double>> gates{};
};

// With its newline.
std::string metrics_line(const StepMetrics& metrics);

// The first lines, at most `most`. Throws Error, naming the line, for a file that metrics_line did not write.
std::vector<StepMetrics> read_metrics(const std::filesystem::path& file,
                                      std::size_t most = std::numeric_limits<std::size_t>::max());

// The lines of all of them.
std::string metrics_lines(std::span<const StepMetrics> steps);
// How many whole lines the file has; 0 where there is none.
std::int64_t count_lines(const std::filesystem::path& file);

// A file that grows by a line at a time: whole lines only, whatever happens.
class LineLog {
 public:
  // Starts a file of these lines in place of what was there. All members throw Error, with the system's reason, if the
  // file cannot be written.
  LineLog(std::filesystem::path file, std::string_view lines);
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  // With its newline.
  void add(std::string_view line);
  // Forces all lines to the disk.
  void sync();

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace csreft
