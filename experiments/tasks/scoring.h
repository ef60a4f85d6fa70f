// How answers are scored.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/tasks/task.h"

namespace csreft {

// What a metric asks of the model.
enum class ScoreOf {
  generated,  // what it answers, decoded greedily
  chosen,     // which of the possible answers is the most probable
  likelihood  // how probable the response is, token by token: no example has an answer of its own
};

struct ScoreMetric {
  std::string_view name, summary;
  ScoreOf of = ScoreOf::generated;
  // Of what was generated: from 0 to 1, against what was expected.
  double (*score)(std::string_view generated, std::string_view expected) = nullptr;
  // Whether a score is the share of examples that are right, each of them 0 or 1.
  bool is_share = true;
  bool more_is_better = true;
  bool needs_answers = false;  // in every example: no output takes their place
  bool is_of_outputs = false;  // what is expected is the output, whether there is an answer or not
  std::string_view unit{};     // of a score that is no share, as pictures have it
};

// The table.
std::span<const ScoreMetric> score_metrics();
// Throws Error, naming the known ones, for another name.
const ScoreMetric& find_metric(std::string_view name);

// The metric of this name or, if it is empty, the one that suits the data: accuracy where every example has an answer,
// else nll. Throws Error where the task's examples cannot be scored by it.
const ScoreMetric& metric_of(const Task& task, std::string_view name = {});

// Whether each example has an answer of the model's, and a score of its own.
inline bool has_outputs(const ScoreMetric& metric) { return metric.of != ScoreOf::likelihood; }
bool has_outputs(std::string_view metric);

// What an example's answer is compared with: its answer, or else its output.
const std::string& expected_of(const Example& example, const ScoreMetric& metric);

// A decimal number less the zeros that end its fraction: "2" of "2.0", "2.5" of "2.50". Any other word as it is.
std::string_view plain_number(std::string_view word);

// accuracy: whether as many last words of `generated` as the answer has equal the answer. Letter case is set aside, and
// so are marks: those at the end (. , ! ? ; :) and quotes around are taken off both sides. An answer of marks alone is
// compared as it is, but for one final full stop. Numbers are equal as plain_number() has them, and letters in
// Unicode's normal form C.
bool is_correct(std::string_view generated, std::string_view answer);
// exact: whether the whole output is the expected one, with case, marks, numbers and spaces as above.
bool is_exact(std::string_view generated, std::string_view expected);
// contains: whether the expected text stands in the output, as whole words, case and its marks set aside. Scripts that
// put no spaces between words, or write particles onto them (Chinese, Japanese, Korean, Thai, ...), have no whole
// words.
bool contains_answer(std::string_view generated, std::string_view expected);
// rouge-l: F1 of the longest common subsequence of words (Lin 2004), as Python's rouge_score has it without stemming:
// words are runs of a-z and 0-9 in the text in lower case.
double rouge_l(std::string_view generated, std::string_view expected);

// choice: the responses that a model is to choose from.
struct Choices {
  const std::vector<std::string>& answers;  // of the example, or of its ChoicesOfTask
  std::size_t right = 0;
};
// The example's own choices or, if it has none, all distinct answers of its task, in their order; of the data that the
// task is a part of, too.
class ChoicesOfTask {
 public:
  // Throws Error for a task, and an example, with fewer than two choices, for choices without the answer, and for a
  // task of more than `most` distinct answers, which are then no choices.
  explicit ChoicesOfTask(const Task& task);
  Choices of(const Example& example) const;
  static constexpr std::size_t most = 256;
  // A choice as a response: within the words that all outputs of the task have around their answers ("The answer is
  // X."), if they all have the same, so that it is worded as in training and gives nothing away.
  std::string response_of(std::string_view answer) const;

 private:
  std::vector<std::string> answers_;
  std::string before_, after_;
};

}  // namespace csreft
