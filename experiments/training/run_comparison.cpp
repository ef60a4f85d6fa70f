#include "experiments/training/run_comparison.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/base/error.h"

namespace csreft {
namespace {

using Values = std::vector<double>;

std::map<std::int64_t, const Answer*> answers_to(const RunRecord& run, const std::string& task) {
  std::map<std::int64_t, const Answer*> answers;
  for (const auto& answer : run.answers) {
    if (answer.task == task) answers[answer.index] = &answer;
  }
  return answers;
}

bool is_same_example(const Answer& a, const Answer& b) {
  return a.index == b.index && a.metric == b.metric && a.instruction == b.instruction && a.input == b.input &&
         a.expected == b.expected;
}

// The scores of each answer.
struct Pairs {
  Values first, second;
};

// Nothing unless both runs have answers to the same examples.
std::optional<Pairs> pairs_of(const RunRecord& first, const RunRecord& second, const std::string& task) {
  const auto ours = answers_to(first, task), theirs = answers_to(second, task);
  if (ours.empty() || ours.size() != theirs.size()) return std::nullopt;
  Pairs pairs;
  for (auto a = ours.begin(), b = theirs.begin(); a != ours.end(); ++a, ++b) {
    if (!is_same_example(*a->second, *b->second)) return std::nullopt;
    pairs.first.push_back(a->second->score());
    pairs.second.push_back(b->second->score());
  }
  return pairs;
}

std::optional<double> if_finite(double error) { return std::isfinite(error) ? std::optional(error) : std::nullopt; }

ScoreDifference difference_of(const TaskScore& first, const TaskScore& second, const std::optional<Pairs>& pairs) {
  ScoreDifference out{.task = first.task, .metric = first.metric, .value = second.value - first.value};
  if (pairs) {
    out.source = ErrorFrom::pairs;
    out.error = if_finite(paired_difference(pairs->first, pairs->second).standard_error);
  } else if (find_metric(first.metric).is_share) {
    out.source = ErrorFrom::scores;
    out.error = std::hypot(binomial_error(first.value, first.n), binomial_error(second.value, second.n));
  }
  return out;
}

// The mean over tasks: its error is that of a sum of independent ones.
ScoreDifference mean_of(const std::vector<ScoreDifference>& tasks, const std::vector<Values>& paired) {
  const auto n = static_cast<double>(tasks.size());
  ScoreDifference mean{.task = {}, .metric = tasks.front().metric};
  double squares = 0.0;
  bool has_error = true;
  for (const auto& task : tasks) {
    mean.value += task.value / n;
    has_error = has_error && task.error.has_value();
    squares += task.error.value_or(0.0) * task.error.value_or(0.0);
  }
  if (has_error) mean.error = std::sqrt(squares) / n;
  const bool are_all_paired = paired.size() == tasks.size();
  if (are_all_paired) mean.source = ErrorFrom::pairs;
  if (!are_all_paired && find_metric(mean.metric).is_share) mean.source = ErrorFrom::scores;
  if (are_all_paired) mean.interval = bootstrap_interval(paired);
  return mean;
}

}  // namespace

std::string describe(ErrorFrom source) {
  switch (source) {
    case ErrorFrom::pairs: return "the same examples, in pairs";
    case ErrorFrom::scores: return "the two scores alone (binomial)";
    case ErrorFrom::nothing: return "not known: no score of each example is there";
  }
  return "";
}

std::vector<ScoreDifference> compare_runs(const RunRecord& first, const RunRecord& second) {
  std::vector<ScoreDifference> differences;
  std::map<std::string, std::vector<ScoreDifference>> by_metric;
  std::map<std::string, std::vector<Values>> paired;
  for (const auto& score : first.scores) {
    const auto other = std::ranges::find_if(
        second.scores, [&](const TaskScore& s) { return s.task == score.task && s.metric == score.metric; });
    if (other == second.scores.end()) continue;
    const auto pairs = pairs_of(first, second, score.task);
    differences.push_back(difference_of(score, *other, pairs));
    by_metric[score.metric].push_back(differences.back());
    if (pairs) paired[score.metric].push_back(differences_of(pairs->first, pairs->second));
  }
  for (const auto& [metric, tasks] : by_metric) {
    if (tasks.size() > 1) differences.push_back(mean_of(tasks, paired[metric]));
  }
  return differences;
}

}  // namespace csreft
