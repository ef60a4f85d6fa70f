#include "experiments/training/scores.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "core/base/json_file.h"

namespace csreft {

using nlohmann::json;

namespace {

template <typename Number>
std::vector<Number> numbers(const json& list, std::string_view where) {
  const bool is_list =
      list.is_array() && std::ranges::all_of(list, [](const json& element) { return element.is_number(); });
  require(is_list, "{}: the gates are {}: expected a list of numbers", where, list.dump());
  return list.get<std::vector<Number>>();
}

}  // namespace

json to_json(const Skipped& skipped) {
  json out = json::object();
  const auto add = [&out](const char* reason, std::int64_t n) {
    if (n > 0) out[reason] = n;
  };
  add("too_long", skipped.too_long);
  add("without_response", skipped.without_response);
  add("empty", skipped.empty);
  add("with_tools", skipped.with_tools);
  return out;
}

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

json chosen_json(const std::vector<TaskScore>& scores) {
  json chosen = json::object();
  for (const auto& s : scores) {
    if (!s.mean_gates.empty()) chosen[s.task] = s.chosen;
  }
  return chosen;
}

std::vector<TaskScore> kept_scores(const json& summary, const std::string& key, std::span<const Task> tests,
                                   std::int64_t shared, std::string_view where) {
  std::vector<TaskScore> kept;
  if (!summary.contains(key)) return kept;
  const auto all = parse_tasks(summary[key], where);
  const json none = json::object();
  const json& gates = key == "tasks" && summary.contains("gates") ? summary["gates"] : none;
  const json& chosen = summary.contains("chosen") ? summary["chosen"] : none;
  for (const auto& test : tests) {
    const auto found = std::ranges::find(all, test.name, &TaskScore::task);
    if (found == all.end()) continue;
    kept.push_back(*found);
    if (!gates.contains(test.name) || !chosen.contains(test.name)) continue;
    const std::string place = fmt::format("{}, task {}", where, test.name);
    kept.back().mean_gates = numbers<double>(gates[test.name], place);
    kept.back().chosen = numbers<std::int64_t>(chosen[test.name], place);
    const std::int64_t decided = std::ssize(kept.back().mean_gates) - shared;
    require(std::ssize(kept.back().chosen) == decided,
            "{}: {} counts of the largest gate: expected {}, one for each gate that is decided", place,
            kept.back().chosen.size(), decided);
  }
  return kept;
}

void print_scores(const std::string& label, const std::vector<TaskScore>& scores) {
  std::map<std::string, std::size_t> n_tasks;
  for (const auto& s : scores) {
    if (s.n == 0) continue;
    fmt::print("{:<12} {:<24} {} {:.3f}  (n = {})", label, s.task, s.metric, s.value, s.n);
    if (!s.mean_gates.empty()) fmt::print("  gates {:.2f}", fmt::join(s.mean_gates, " "));
    fmt::print("\n");
    ++n_tasks[s.metric];
  }
  for (const auto& [metric, n] : n_tasks) {
    if (n < 2 || !has_outputs(metric)) continue;
    fmt::print("{:<12} {:<24} {} {:.3f}\n", label, "mean", metric, mean_score(scores, metric));
  }
  std::fflush(stdout);
}

}  // namespace csreft
