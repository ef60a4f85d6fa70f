// Training and test data: tasks, each a list of examples. How files are read: read.h; how answers are scored:
// scoring.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/chat_template.h"

namespace csreft {

// One response to learn or to score, and what comes before it.
struct Example {
  std::string instruction;
  std::string input;  // empty: none
  std::string output;
  std::optional<std::string> answer;  // what the output must end with; none: the task is scored by nll
  std::string dataset;                // AlpacaEval's name of the instruction's source; empty: none
  // Names of the adapters that it is answered with; none: those in use.
  std::optional<std::vector<std::string>> adapters{};
  std::string system{};                   // takes the place of --system; empty: does not
  std::vector<Message> history{};         // turns before the instruction, of user and assistant, from the oldest on
  std::vector<std::size_t> not_learnt{};  // the assistant's turns of the history that are context alone: their places
  std::vector<std::string> choices{};     // the answers to choose among; empty: all of the task
  bool is_text = false;                   // the output stands alone: no instruction, no chat template
};

// How many examples of a file are not used, and why.
struct Skipped {
  std::int64_t too_long = 0, without_response = 0, empty = 0, with_tools = 0;

  std::int64_t total() const { return too_long + without_response + empty + with_tools; }
  Skipped& operator+=(const Skipped& other);
};

struct Task {
  std::string name;
  std::vector<Example> examples;  // never empty after it is read
  Skipped skipped{};              // beside the examples
  // The distinct answers of all data that the examples are a part of, in their order: what `choice` chooses among.
  std::vector<std::string> answers{};
};

// Adds to task.answers those of its examples.
void collect_answers(Task& task);

// "skipped 3 of 40: 2 too long, 1 without a response", where `used` are left; empty where none was skipped.
std::string describe(const Skipped& skipped, std::size_t used);

// Whether every example has an answer, by which its output is scored.
bool has_answers(const Task& task);

// FNV-1a over all that a prompt and its response are made of, and the answers.
std::uint64_t content_hash(const Task& task);

// The skill that a task's name speaks of: `sentiment` for `sentiment.train` and for `sentiment.test`.
std::string task_stem(std::string_view name);

// The stems of tasks, each once, in their order.
std::vector<std::string> task_stems(std::span<const Task> tasks);

// Takes from the instructions of `train` the words with which all of them begin and end, and the same from those of
// `test` that have them: what stays tells an example's task by its own words alone. At least one word of each stays.
// Does nothing to a single example, which is all template.
void remove_template(Task& train, Task& test);

}  // namespace csreft
