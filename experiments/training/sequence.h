// Tasks learnt one after the other (--order sequence): how all of them do after each.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/tasks/task.h"
#include "experiments/training/evaluate.h"
#include "reft/transfer.h"

namespace csreft {

// A line of sequence.jsonl.
struct SequenceRecord {
  std::string task;               // the one that was learnt then: the stem of its name
  std::vector<TaskScore> scores;  // of all test tasks
};

// {"task": name, "tasks": {name: {metric: value, "n": count}}}, with its newline.
std::string sequence_line(const SequenceRecord& record);
std::string sequence_lines(const std::vector<SequenceRecord>& records);
// The first lines, at most `most`, without gates; none where there is no file. Throws Error, naming the line, for a
// file of another form.
std::vector<SequenceRecord> read_sequence(const std::filesystem::path& file, std::size_t most);

// The scores of the tasks that are learnt, by one metric.
struct SequenceMatrix {
  std::vector<std::string> tasks;           // stems, in the order of learning
  std::string metric;                       // of scoring.h
  std::vector<std::vector<double>> scores;  // [tasks learnt so far][tasks]
  std::vector<double> untrained;            // [tasks]: of the model without the method; empty: not scored
};

// Throws Error unless there is a test task, and one alone, for the stem of each of the tasks that are learnt, and all
// of these are scored by the same metric, as metric_of() has it for `asked`.
void check_sequence(std::span<const std::string> tasks, std::span<const Task> tests, std::string_view asked = {});
// Of tests that check_sequence() has passed; `untrained` may be empty.
SequenceMatrix sequence_matrix(const std::vector<std::string>& tasks, std::span<const SequenceRecord> records,
                               std::span<const TaskScore> untrained);
// When all tasks are learnt. More is always better, also of nll, whose differences have the other sign; the average is
// that of the scores as they are.
std::optional<Transfer> transfer_of(const SequenceMatrix& matrix);
// The scores of test tasks of these stems. Throws Error, naming it, for one that is not there.
std::vector<double> scores_in_order(std::span<const TaskScore> scores, const std::vector<std::string>& tasks);
// {"tasks", "metric", "scores"[, "untrained"]} and, when all tasks are learnt, {"average", "backward_transfer",
// "forward_transfer", "forgetting"}; null where there is no such number.
nlohmann::json to_json(const SequenceMatrix& matrix);
// The same back. Throws Error, beginning with `where`, for another form.
SequenceMatrix parse_sequence_matrix(const nlohmann::json& saved, std::string_view where);
// A line a task that was learnt, a column a task, and the four numbers, on stdout.
void print_sequence(const std::string& label, const SequenceMatrix& matrix);

}  // namespace csreft
