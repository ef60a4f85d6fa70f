// By how much one run is better than another, and how sure that is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/report/uncertainty.h"
#include "experiments/training/run_record.h"

namespace csreft {

enum class ErrorFrom {
  pairs,   // differences example by example: both have answers to the same examples
  scores,  // the binomial errors of two shares of right answers, as of different examples
  nothing  // what an example contributes is not kept, or not of the same examples
};
// In a few words.
std::string describe(ErrorFrom source);

// second - first.
struct ScoreDifference {
  std::string task;  // empty: the mean over tasks
  std::string metric;
  double value = 0.0;
  std::optional<double> error{};       // one standard error; none: not known
  std::optional<Interval> interval{};  // of a mean over paired tasks, at 95 %
  ErrorFrom source = ErrorFrom::nothing;
};

// Of each task that both are scored on by the same metric; then, for each metric of two tasks or more, of the mean over
// them. The mean's interval is there where all of its tasks are paired, from 10,000 resamples of seed 0.
std::vector<ScoreDifference> compare_runs(const RunRecord& first, const RunRecord& second);

}  // namespace csreft
