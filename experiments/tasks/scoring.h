// How answers are scored.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/tasks/task.h"

namespace csreft {

struct ScoreMetric {
  std::string_view name, summary;
  // Of what was generated, from 0 to 1, and what was expected. Null: nothing is generated.
  double (*score)(std::string_view generated, std::string_view expected);
  // Whether a score is the share of examples that are right, each of them 0 or 1.
  bool is_share;
  bool more_is_better;
};

// The table.
std::span<const ScoreMetric> score_metrics();
// Throws Error, naming the known ones, for another name.
const ScoreMetric& find_metric(std::string_view name);

// The metric of this name or, if it is empty, the one that suits the data: accuracy where every example has an answer,
// else nll. Throws Error where the task's examples cannot be scored by it.
const ScoreMetric& metric_of(const Task& task, std::string_view name = {});

// What an example's answer is compared with: its answer, or else its output. rouge-l compares outputs.
const std::string& expected_of(const Example& example, const ScoreMetric& metric);

// accuracy: whether as many last words of `generated` as the answer has equal the answer. Letter case (ASCII) is set
// aside, and so are marks: a single word without marks is compared less one final full stop, as earlier versions did;
// for any other answer, marks at the end (. , ! ? ; :) and quotes around are taken off both sides.
bool is_correct(std::string_view generated, std::string_view answer);
// exact: whether the whole output is the expected one, with case, marks and spaces set aside as above.
bool is_exact(std::string_view generated, std::string_view expected);
// contains: whether the expected text stands in the output, as whole words, case and its marks set aside.
bool contains_answer(std::string_view generated, std::string_view expected);
// rouge-l: F1 of the longest common subsequence of words (Lin 2004), as Python's rouge_score has it without stemming:
// words are runs of a-z and 0-9 in the text in lower case.
double rouge_l(std::string_view generated, std::string_view expected);

// choice: the responses that a model is to choose from.
struct Choices {
  std::vector<std::string> answers;
  std::size_t right = 0;
};
// The example's own choices or, if it has none, all distinct answers of its task, in their order; of the data that the
// task is a part of, too.
class ChoicesOfTask {
 public:
  // Throws Error for a task, and an example, with fewer than two choices, and for choices without the answer.
  explicit ChoicesOfTask(const Task& task);
  Choices of(const Example& example) const;
  // A choice as a response: within the words that all outputs of the task have around their answers ("The answer is
  // X."), if they all have the same, so that it is worded as in training and gives nothing away.
  std::string response_of(std::string_view answer) const;

 private:
  std::vector<std::string> answers_;
  std::string before_, after_;
};

}  // namespace csreft
