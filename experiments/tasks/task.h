// Training and test data in Alpaca's form, and the exact match by which answers are scored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace csreft {

struct Example {
  std::string instruction;
  std::string input;  // empty: none
  std::string output;
  std::optional<std::string> answer;  // what the last word of the output must be; none: the task is scored by nll
  std::string dataset;                // AlpacaEval's name of the instruction's source; empty: none
  // Names of the adapters that it is answered with; none: those in use.
  std::optional<std::vector<std::string>> adapters{};
};

struct Task {
  std::string name;
  std::vector<Example> examples;  // never empty after load_task
};

// Whether every element must have an output: training and test data do, instructions to be answered need not.
enum class Outputs { required, optional };

// Reads a JSON list, or JSON lines, of {instruction, input, output[, answer]}. `input` may be absent, as in
// AlpacaEval's files; other keys but `dataset` are ignored. The name is the file's name less its extension.
// Throws Error for a missing file, broken JSON, an element of another form, or an empty list.
Task load_task(const std::filesystem::path& path, Outputs outputs = Outputs::required);

// Reads several files. Throws Error, too, for two of the same name, which scores and pictures could not tell apart.
std::vector<Task> load_tasks(const std::vector<std::string>& files);

// Whether every example has an answer, by which its output is scored.
bool has_answers(const Task& task);

// FNV-1a over the instructions, inputs, outputs and answers.
std::uint64_t content_hash(const Task& task);

// The skill that a task's name speaks of: `sentiment` for `sentiment.train` and for `sentiment.test`.
std::string task_stem(std::string_view name);

// The stems of tasks, each once, in their order.
std::vector<std::string> task_stems(std::span<const Task> tasks);

// Takes from the instructions of `train` the words with which all of them begin and end, and the same from those of
// `test` that have them: what stays tells an example's task by its own words alone. At least one word of each stays.
// Does nothing to a single example, which is all template.
void remove_template(Task& train, Task& test);

// Whether the last word of `generated`, less its final full stop, equals `answer`, letter case (ASCII) set aside.
bool is_correct(std::string_view generated, std::string_view answer);

}  // namespace csreft
