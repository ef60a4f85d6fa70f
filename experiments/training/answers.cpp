#include "experiments/training/answers.h"

#include <algorithm>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/base/json_file.h"

namespace csreft {

using nlohmann::json;

namespace {

constexpr const char* default_metric = "accuracy";

std::string answer_line(const Answer& answer) {
  json line{{"task", answer.task},     {"index", answer.index},       {"instruction", answer.instruction},
            {"output", answer.output}, {"expected", answer.expected}, {"correct", answer.correct}};
  if (!answer.input.empty()) line["input"] = answer.input;
  if (!answer.gates.empty()) line["gates"] = answer.gates;
  if (answer.metric != default_metric) line["metric"] = answer.metric;
  if (answer.partial) line["score"] = *answer.partial;
  return line.dump() + "\n";
}

std::vector<double> read_gates(const json& line, const std::string& where) {
  if (!line.contains("gates")) return {};
  try {
    return line["gates"].get<std::vector<double>>();
  } catch (const json::exception&) {
    fail("{}: `gates` is {}: expected a list of numbers", where, line["gates"].dump());
  }
}

}  // namespace

std::vector<Answer> answers_of(std::span<const TaskScore> scores, std::span<const Task> tests) {
  std::vector<Answer> answers;
  for (const auto& score : scores) {
    const auto task = std::ranges::find(tests, score.task, &Task::name);
    require(task != tests.end(), "the scores have a task {}: expected one of the tests", score.task);
    const ScoreMetric& metric = find_metric(score.metric);
    for (std::size_t i = 0; i < score.outputs.size(); ++i) {
      const Example& example = task->examples.at(i);
      answers.push_back({.task = score.task,
                         .index = static_cast<std::int64_t>(i),
                         .instruction = example.instruction,
                         .input = example.input,
                         .output = score.outputs[i],
                         .expected = expected_of(example, metric),
                         .correct = score.values.at(i) == 1.0,
                         .gates = score.gates.empty() ? std::vector<double>() : score.gates.at(i),
                         .metric = score.metric});
      if (!metric.is_share) answers.back().partial = score.values.at(i);
    }
  }
  return answers;
}

void write_answers(const std::filesystem::path& folder, std::span<const Answer> answers, const char* file_name) {
  if (answers.empty()) return;
  std::string lines;
  for (const auto& answer : answers) lines += answer_line(answer);
  write_file_atomically(folder / file_name, lines);
}

std::vector<Answer> read_answers(const std::filesystem::path& folder, const char* file_name) {
  const auto file = folder / file_name;
  std::vector<Answer> answers;
  if (!std::filesystem::exists(file)) return answers;
  std::istringstream lines(read_text_file(file));
  for (std::string line; std::getline(lines, line);) {
    const std::string where = fmt::format("{}, line {}", file.string(), answers.size() + 1);
    const json values = parse_json_object(line, where);
    answers.push_back({.task = get_json<std::string>(values, "task", where),
                       .index = get_json<std::int64_t>(values, "index", where),
                       .instruction = get_json<std::string>(values, "instruction", where),
                       .input = find_json<std::string>(values, "input", where).value_or(""),
                       .output = get_json<std::string>(values, "output", where),
                       .expected = get_json<std::string>(values, "expected", where),
                       .correct = get_json<bool>(values, "correct", where),
                       .gates = read_gates(values, where),
                       .metric = find_json<std::string>(values, "metric", where).value_or(default_metric),
                       .partial = find_json<double>(values, "score", where)});
  }
  return answers;
}

}  // namespace csreft
