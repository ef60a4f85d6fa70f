#include "experiments/tasks/scoring.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <unordered_set>

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "experiments/tasks/blank.h"

namespace csreft {
namespace {

constexpr std::array<std::string_view, 9> quotes{"\"", "'", "`", "“", "”", "‘", "’", "«", "»"};
constexpr std::string_view final_marks = ".,!?;:";

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
bool is_word_character(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t begin = text.find_first_not_of(blanks); begin != text.npos;) {
    const std::size_t end = std::min(text.find_first_of(blanks, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(blanks, end);
  }
  return words;
}

// The words from the `first` on, in lower case, with one space between them.
std::string folded(std::string_view text, std::size_t first = 0) {
  const auto words = words_of(text);
  std::string out = fmt::format("{}", fmt::join(std::span(words).subspan(first), " "));
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

// Less quotes around it and marks at its end; text that is nothing else stays.
std::string_view without_marks(std::string_view text) {
  const std::string_view whole = text;
  for (bool is_changed = true; is_changed;) {
    is_changed = false;
    for (const auto quote : quotes) {
      if (text.starts_with(quote)) {
        text.remove_prefix(quote.size());
        is_changed = true;
      }
      if (text.ends_with(quote)) {
        text.remove_suffix(quote.size());
        is_changed = true;
      }
    }
    if (!text.empty() && final_marks.find(text.back()) != final_marks.npos) {
      text.remove_suffix(1);
      is_changed = true;
    }
  }
  return text.empty() ? whole : text;
}

// Runs of a-z and 0-9. Of the letters that are not ASCII, two have lower cases in Python that begin with one that is:
// the Kelvin sign (k) and the dotted capital I (i).
std::vector<std::string> rouge_words(std::string_view text) {
  constexpr std::string_view kelvin = "\u212a", dotted_i = "\u0130";
  std::vector<std::string> words(1);
  while (!text.empty()) {
    const bool is_kelvin = text.starts_with(kelvin), is_dotted_i = text.starts_with(dotted_i);
    const char c = is_kelvin ? 'k' : is_dotted_i ? 'i' : lower(text.front());
    text.remove_prefix(is_kelvin ? kelvin.size() : 1);
    if (is_word_character(c)) {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::size_t longest_common_subsequence(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::size_t> row(b.size() + 1, 0);
  for (const auto& word : a) {
    std::size_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

double accuracy(std::string_view generated, std::string_view answer) { return is_correct(generated, answer) ? 1 : 0; }
double exact(std::string_view generated, std::string_view expected) { return is_exact(generated, expected) ? 1 : 0; }
double contains(std::string_view generated, std::string_view expected) {
  return contains_answer(generated, expected) ? 1 : 0;
}

constexpr std::array table{
    ScoreMetric{"accuracy", "the share of greedy answers whose last words are the answer", accuracy, true, true},
    ScoreMetric{"exact", "the share of greedy answers that are the answer, or else the output, and nothing else", exact,
                true, true},
    ScoreMetric{"contains", "the share of greedy answers in which the answer, or else the output, stands", contains,
                true, true},
    ScoreMetric{"choice",
                "the share of examples whose answer is the most probable of the task's answers, or of the example's "
                "`choices`, by the sum of the nll of its tokens",
                nullptr, true, true},
    ScoreMetric{"nll", "the mean negative log-likelihood of a response token", nullptr, false, false},
    ScoreMetric{"rouge-l", "the mean F1 of the longest common subsequence of words of greedy answer and output",
                rouge_l, false, true},
};

}  // namespace

std::span<const ScoreMetric> score_metrics() { return table; }

const ScoreMetric& find_metric(std::string_view name) {
  const auto found = std::ranges::find(table, name, &ScoreMetric::name);
  std::vector<std::string_view> names;
  for (const auto& metric : table) names.push_back(metric.name);
  require(found != table.end(), "unknown metric '{}': expected one of {}", name, fmt::join(names, ", "));
  return *found;
}

const ScoreMetric& metric_of(const Task& task, std::string_view name) {
  const ScoreMetric& metric = find_metric(!name.empty() ? name : has_answers(task) ? "accuracy" : "nll");
  require(metric.name != "accuracy" || has_answers(task),
          "{} has no answers for --metric accuracy: expected `answer` in each example, or another metric", task.name);
  const bool is_text = std::ranges::any_of(task.examples, &Example::is_text);
  require(!is_text || metric.name == "nll",
          "{} has texts without prompts, which nothing answers: expected --metric nll, not {}", task.name, metric.name);
  if (metric.name == "choice") {
    const ChoicesOfTask choices(task);
    for (const auto& example : task.examples) static_cast<void>(choices.of(example));
  }
  return metric;
}

const std::string& expected_of(const Example& example, const ScoreMetric& metric) {
  return example.answer && metric.name != "rouge-l" ? *example.answer : example.output;
}

bool is_correct(std::string_view generated, std::string_view answer) {
  const std::size_t n = words_of(answer).size(), all = words_of(generated).size();
  if (n == 0 || all < n) return false;
  const std::string said = folded(generated, all - n), wanted = folded(answer);
  if (n > 1 || without_marks(wanted) != wanted) return without_marks(said) == without_marks(wanted);
  return std::string_view(said).substr(0, said.size() - (said.ends_with('.') ? 1 : 0)) == wanted;
}

bool is_exact(std::string_view generated, std::string_view expected) {
  const std::string said = folded(generated), wanted = folded(expected);
  return without_marks(said) == without_marks(wanted);
}

bool contains_answer(std::string_view generated, std::string_view expected) {
  const std::string said = folded(generated), whole = folded(expected);
  const std::string_view wanted = without_marks(whole);
  if (wanted.empty()) return false;
  // What lies beside a word's first or last letter is no letter.
  const auto ends_word = [&](char at_end, std::size_t beside) {
    return !is_word_character(at_end) || beside >= said.size() || !is_word_character(said[beside]);
  };
  for (std::size_t at = said.find(wanted); at != said.npos; at = said.find(wanted, at + 1)) {
    const std::size_t before = at == 0 ? said.size() : at - 1;
    if (ends_word(wanted.front(), before) && ends_word(wanted.back(), at + wanted.size())) return true;
  }
  return false;
}

double rouge_l(std::string_view generated, std::string_view expected) {
  const auto said = rouge_words(generated), wanted = rouge_words(expected);
  const auto common = static_cast<double>(longest_common_subsequence(said, wanted));
  if (common == 0.0) return 0.0;
  const double precision = common / static_cast<double>(said.size()),
               recall = common / static_cast<double>(wanted.size());
  return 2.0 * precision * recall / (precision + recall);
}

ChoicesOfTask::ChoicesOfTask(const Task& task) {
  const ScoreMetric& metric = find_metric("choice");
  answers_ = task.answers;
  std::unordered_set<std::string> seen(answers_.begin(), answers_.end());
  for (const auto& e : task.examples) {
    if (const std::string& answer = expected_of(e, metric); seen.insert(answer).second) answers_.push_back(answer);
  }
  const bool has_own = std::ranges::none_of(task.examples, [](const Example& e) { return e.choices.empty(); });
  require(has_own || answers_.size() > 1,
          "{} has one answer, '{}', and there is nothing to choose: expected more, or `choices` in each example",
          task.name, answers_.front());
  const Example& first = task.examples.front();
  const std::size_t at = first.output.rfind(expected_of(first, metric));
  if (at == std::string::npos) return;
  const std::string before = first.output.substr(0, at);
  const std::string after = first.output.substr(at + expected_of(first, metric).size());
  if (std::ranges::all_of(task.examples,
                          [&](const Example& e) { return e.output == before + expected_of(e, metric) + after; })) {
    before_ = before;
    after_ = after;
  }
}

Choices ChoicesOfTask::of(const Example& example) const {
  Choices out{.answers = example.choices.empty() ? answers_ : example.choices};
  const std::string& answer = expected_of(example, find_metric("choice"));
  const auto right = std::ranges::find(out.answers, answer);
  require(out.answers.size() > 1 && right != out.answers.end(),
          "the choices of '{}' are {}: expected two or more, and the answer '{}' among them", example.instruction,
          fmt::join(out.answers, ", "), answer);
  out.right = static_cast<std::size_t>(right - out.answers.begin());
  return out;
}

std::string ChoicesOfTask::response_of(std::string_view answer) const {
  return fmt::format("{}{}{}", before_, answer, after_);
}

}  // namespace csreft
