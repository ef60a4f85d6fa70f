// Scores of tasks as JSON and on the screen.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/training/evaluate.h"

namespace csreft {

// {name: {metric: value, n: count}}
nlohmann::json tasks_json(const std::vector<TaskScore>& scores);
// Throws Error, beginning with `where`, for JSON of another form.
std::vector<TaskScore> parse_tasks(const nlohmann::json& tasks, std::string_view where);
// {name: [mean gate, ...]} of the tasks that have gates.
nlohmann::json gates_json(const std::vector<TaskScore>& scores);

// "sentiment.test  accuracy 0.810 (n = 200)  gates 0.00 1.00", a line a task, and the mean accuracy, on stdout.
void print_scores(const std::string& label, const std::vector<TaskScore>& scores);

}  // namespace csreft
