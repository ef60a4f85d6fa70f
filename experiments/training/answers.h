// answers.jsonl: what a model answered to each test example, by whatever metric the answers are scored; and
// answers-untrained.jsonl: what it answered before it was trained. A task scored by nll has no answers, and no lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/training/evaluate.h"

namespace csreft {

inline constexpr const char* answers_file_name = "answers.jsonl";
inline constexpr const char* untrained_answers_file_name = "answers-untrained.jsonl";

// A line of it; `input` and `gates` are left out where they are empty, `metric` where it is accuracy, and `score` where
// an answer is right or wrong.
struct Answer {
  std::string task;
  std::int64_t index = 0;  // of the example in its task
  std::string instruction{}, input{};
  std::string output{}, expected{};
  bool correct = false;         // whether the score is the best there is
  std::vector<double> gates{};  // [k] of a method that has gates
  std::string metric = "accuracy";
  std::optional<double> partial{};  // the score, from 0 to 1, by a metric that knows more than right and wrong

  double score() const { return partial.value_or(correct ? 1.0 : 0.0); }
};

// Of each example that has an output, in the order of the scores. Throws Error for a score of none of the tests.
std::vector<Answer> answers_of(std::span<const TaskScore> scores, std::span<const Task> tests);

// Writes the folder's file whole or not at all; nothing where there are no answers.
void write_answers(const std::filesystem::path& folder, std::span<const Answer> answers,
                   const char* file_name = answers_file_name);

// None where the folder has no such file. Throws Error, naming the line, for one that write_answers did not write.
std::vector<Answer> read_answers(const std::filesystem::path& folder, const char* file_name = answers_file_name);

}  // namespace csreft
