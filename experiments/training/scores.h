// Scores of tasks as JSON and on the screen.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/training/evaluate.h"

namespace csreft {

// {"too_long": 2, "without_response": 1}, what there is of it.
nlohmann::json to_json(const Skipped& skipped);
// {name: {metric: value, n: count}}
nlohmann::json tasks_json(const std::vector<TaskScore>& scores);
// In the order of the names. Throws Error, beginning with `where`, for JSON of another form.
std::vector<TaskScore> parse_tasks(const nlohmann::json& tasks, std::string_view where);
// {name: [mean gate, ...]} of the tasks that have gates; and {name: [examples whose largest gate it is, ...]}.
nlohmann::json gates_json(const std::vector<TaskScore>& scores);
nlohmann::json chosen_json(const std::vector<TaskScore>& scores);
// The scores that a summary holds under `key`, with their gates where they are those of "tasks", in the order of
// `tests`; those of other tasks are left out. `shared`: how many gates are not decided. None where the summary has no
// such key. Throws Error as parse_tasks does.
std::vector<TaskScore> kept_scores(const nlohmann::json& summary, const std::string& key, std::span<const Task> tests,
                                   std::int64_t shared, std::string_view where);

// "sentiment.test  accuracy 0.810 (n = 200)  gates 0.00 1.00", a line a task, and the mean accuracy, on stdout.
void print_scores(const std::string& label, const std::vector<TaskScore>& scores);

}  // namespace csreft
