#include "experiments/training/scores.h"

#include <cstdio>

#include "core/base/json_file.h"

namespace csreft {

using nlohmann::json;

json tasks_json(const std::vector<TaskScore>& scores) {
  json tasks = json::object();
  for (const auto& s : scores) {
    if (s.n > 0) tasks[s.task] = {{s.metric, s.value}, {"n", s.n}};
  }
  return tasks;
}

std::vector<TaskScore> parse_tasks(const json& tasks, std::string_view where) {
  require(tasks.is_object(), "{}: the tasks are {}: expected an object", where, tasks.type_name());
  std::vector<TaskScore> scores;
  for (const auto& [task, values] : tasks.items()) {
    const std::string place = fmt::format("{}, task {}", where, task);
    require(values.is_object() && values.size() == 2, "{}: expected a metric and n", place);
    TaskScore score{.task = task, .metric = {}};
    score.n = get_json<std::int64_t>(values, "n", place);
    for (const auto& [key, value] : values.items()) {
      if (key != "n") score.metric = key;
    }
    score.value = get_json<double>(values, score.metric, place);
    scores.push_back(std::move(score));
  }
  return scores;
}

json gates_json(const std::vector<TaskScore>& scores) {
  json gates = json::object();
  for (const auto& s : scores) {
    if (!s.mean_gates.empty()) gates[s.task] = s.mean_gates;
  }
  return gates;
}

void print_scores(const std::string& label, const std::vector<TaskScore>& scores) {
  std::size_t accuracies = 0;
  for (const auto& s : scores) {
    if (s.n == 0) continue;
    fmt::print("{:<12} {:<24} {} {:.3f}  (n = {})", label, s.task, s.metric, s.value, s.n);
    if (!s.mean_gates.empty()) fmt::print("  gates {:.2f}", fmt::join(s.mean_gates, " "));
    fmt::print("\n");
    accuracies += s.metric == "accuracy" ? 1 : 0;
  }
  if (accuracies > 1) {
    fmt::print("{:<12} {:<24} accuracy {:.3f}\n", label, "mean", mean_score(scores, "accuracy"));
  }
  std::fflush(stdout);
}

}  // namespace csreft
