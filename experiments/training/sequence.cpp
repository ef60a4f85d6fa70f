#include "experiments/training/sequence.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "core/base/atomic_file.h"
#include "core/base/json_file.h"
#include "core/base/whole_lines.h"
#include "experiments/training/scores.h"

namespace csreft {

using nlohmann::json;

namespace {

// The score of the test task of this stem.
const TaskScore& score_of(std::span<const TaskScore> scores, const std::string& stem) {
  const auto found = std::ranges::find_if(scores, [&](const TaskScore& s) { return task_stem(s.task) == stem; });
  require(found != scores.end(), "task {} was not scored", stem);
  return *found;
}

json number_or_null(const std::optional<double>& number) { return number ? json(*number) : json(nullptr); }

void print_row(const std::string& name, const std::vector<double>& row) {
  fmt::print("  {:<16}", name);
  for (const double value : row) fmt::print(" {:>14.3f}", value);
  fmt::print("\n");
}

}  // namespace

std::string sequence_line(const SequenceRecord& record) {
  return json{{"task", record.task}, {"tasks", tasks_json(record.scores)}}.dump() + "\n";
}

std::string sequence_lines(const std::vector<SequenceRecord>& records) {
  std::string lines;
  for (const auto& record : records) lines += sequence_line(record);
  return lines;
}

std::vector<SequenceRecord> read_sequence(const std::filesystem::path& file, std::size_t most) {
  std::vector<SequenceRecord> records;
  if (!std::filesystem::exists(file)) return records;
  std::istringstream lines(read_whole_lines(file));
  for (std::string line; records.size() < most && std::getline(lines, line);) {
    const std::string where = fmt::format("{}, line {}", file.string(), records.size() + 1);
    const json values = parse_json_object(line, where);
    require(values.contains("tasks"), "{}: `tasks` is missing", where);
    records.push_back({get_json<std::string>(values, "task", where), parse_tasks(values["tasks"], where)});
  }
  return records;
}

std::vector<double> scores_in_order(std::span<const TaskScore> scores, const std::vector<std::string>& tasks) {
  std::vector<double> row;
  for (const auto& task : tasks) row.push_back(score_of(scores, task).value);
  return row;
}

void check_sequence(std::span<const std::string> tasks, std::span<const Task> tests, std::string_view asked) {
  std::string_view metric;
  for (const auto& stem : tasks) {
    const auto of_stem = [&](const Task& test) { return task_stem(test.name) == stem; };
    const auto n = std::ranges::count_if(tests, of_stem);
    require(n == 1,
            "tasks learnt in sequence are scored after each, and {} has {} test files: expected one --test file, such "
            "as {}.test.json",
            stem, n == 0 ? "no" : std::to_string(n), stem);
    const Task& test = *std::ranges::find_if(tests, of_stem);
    const std::string_view own = metric_of(test, asked).name;
    if (metric.empty()) metric = own;
    require(own == metric,
            "tasks learnt in sequence are compared by one metric: expected `answer` in all of their test files, or in "
            "none, and {} is scored by {} where others are by {}",
            test.name, own, metric);
  }
}

SequenceMatrix sequence_matrix(const std::vector<std::string>& tasks, std::span<const SequenceRecord> records,
                               std::span<const TaskScore> untrained) {
  SequenceMatrix matrix{.tasks = tasks, .metric = "accuracy", .scores = {}, .untrained = {}};
  for (const auto& record : records) {
    matrix.metric = score_of(record.scores, tasks.front()).metric;
    matrix.scores.push_back(scores_in_order(record.scores, tasks));
  }
  if (!untrained.empty()) matrix.untrained = scores_in_order(untrained, tasks);
  return matrix;
}

std::optional<Transfer> transfer_of(const SequenceMatrix& matrix) {
  if (matrix.scores.size() < matrix.tasks.size()) return std::nullopt;
  const double sign = find_metric(matrix.metric).more_is_better ? 1.0 : -1.0;
  auto a = matrix.scores;
  auto b = matrix.untrained;
  for (auto& row : a) {
    for (double& score : row) score *= sign;
  }
  for (double& score : b) score *= sign;
  Transfer measures = transfer(a, b);
  measures.average *= sign;
  return measures;
}

json to_json(const SequenceMatrix& matrix) {
  json out{{"tasks", matrix.tasks}, {"metric", matrix.metric}, {"scores", matrix.scores}};
  if (!matrix.untrained.empty()) out["untrained"] = matrix.untrained;
  if (const auto measures = transfer_of(matrix)) {
    out["average"] = measures->average;
    out["backward_transfer"] = number_or_null(measures->backward);
    out["forward_transfer"] = number_or_null(measures->forward);
    out["forgetting"] = number_or_null(measures->forgetting);
  }
  return out;
}

SequenceMatrix parse_sequence_matrix(const json& saved, std::string_view where) {
  SequenceMatrix matrix;
  try {
    matrix = {.tasks = saved.at("tasks").get<std::vector<std::string>>(),
              .metric = saved.at("metric").get<std::string>(),
              .scores = saved.at("scores").get<std::vector<std::vector<double>>>(),
              .untrained = saved.value("untrained", std::vector<double>())};
  } catch (const json::exception& error) {
    fail("{}: what is said of a sequence is not understood: {}", where, error.what());
  }
  const auto is_whole = [&](const std::vector<double>& row) { return row.size() == matrix.tasks.size(); };
  require(std::ranges::all_of(matrix.scores, is_whole) && (matrix.untrained.empty() || is_whole(matrix.untrained)),
          "{}: a sequence of {} tasks has scores of another number of tasks", where, matrix.tasks.size());
  return matrix;
}

void print_sequence(const std::string& label, const SequenceMatrix& matrix) {
  fmt::print("{}: {} on each task, after each was learnt\n  {:<16}", label, matrix.metric, "");
  for (const auto& task : matrix.tasks) fmt::print(" {:>14}", task);
  fmt::print("\n");
  if (!matrix.untrained.empty()) print_row("(untrained)", matrix.untrained);
  for (std::size_t i = 0; i < matrix.scores.size(); ++i) print_row(matrix.tasks[i], matrix.scores[i]);
  if (const auto measures = transfer_of(matrix)) {
    const auto text = [](const std::optional<double>& x) { return x ? fmt::format("{:+.3f}", *x) : std::string("-"); };
    fmt::print("  average {:.3f}, backward transfer {}, forward transfer {}, forgetting {}\n", measures->average,
               text(measures->backward), text(measures->forward), text(measures->forgetting));
  }
  std::fflush(stdout);
}

}  // namespace csreft
