#include "experiments/tasks/scoring.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <unordered_set>

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "experiments/tasks/blank.h"
#include "models/text/unicode.h"

namespace csreft {
namespace {

constexpr std::array<std::string_view, 9> quotes{"\"", "'", "`", "“", "”", "‘", "’", "«", "»"};
constexpr std::string_view final_marks = ".,!?;:";

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
bool is_letter_or_digit(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t begin = text.find_first_not_of(blanks); begin != text.npos;) {
    const std::size_t end = std::min(text.find_first_of(blanks, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(blanks, end);
  }
  return words;
}

// The words from the `first` on, in lower case and normal form C, with one space between them.
std::string folded(std::string_view text, std::size_t first = 0) {
  const auto words = words_of(text);
  const std::string joined = fmt::format("{}", fmt::join(std::span(words).subspan(first), " "));
  return normal_form(lower_case(repaired_utf8(joined)), NormalForm::nfc);
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

std::string with_plain_numbers(std::string_view text) {
  auto words = words_of(text);
  std::ranges::transform(words, words.begin(), plain_number);
  return fmt::format("{}", fmt::join(words, " "));
}

// Of folded texts. Marks alone are compared as they are, but for a final full stop.
bool are_same(std::string_view said, std::string_view wanted) {
  if (with_plain_numbers(without_marks(said)) == with_plain_numbers(without_marks(wanted))) return true;
  return said.ends_with('.') && said.substr(0, said.size() - 1) == wanted;
}

// Of valid UTF-8 that is not empty.
char32_t first_character(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) ++length;
  return code_point(text.substr(0, length));
}
char32_t last_character(std::string_view text) {
  return code_point(text.substr(text.size() - last_character_length(text)));
}

// Whether a character is of a word that spaces or marks part from the next: of no script that writes words, or
// particles and words, without a space.
bool is_of_spaced_word(char32_t c) {
  struct Script {
    char32_t first, last;
  };
  // Thai, Lao and Tibetan; Burmese; Hangul; Khmer; Chinese and Japanese; Hangul and what is compatible; rare
  // ideographs.
  static constexpr std::array<Script, 8> unspaced{{{0x0E00, 0x0FFF},
                                                   {0x1000, 0x109F},
                                                   {0x1100, 0x11FF},
                                                   {0x1780, 0x17FF},
                                                   {0x2E80, 0x9FFF},
                                                   {0xA960, 0xD7FF},
                                                   {0xF900, 0xFAFF},
                                                   {0x20000, 0x3FFFF}}};
  const auto has = [c](const Script& script) { return c >= script.first && c <= script.last; };
  return is_word_character(c) && std::ranges::none_of(unspaced, has);
}

// Whether the text from `begin` to `end`, in the middle of another, begins or ends within a word of it.
bool cuts_word(std::string_view text, std::size_t begin, std::size_t end) {
  const auto is_within_word = [&](std::size_t at) {
    return at > 0 && at < text.size() && is_of_spaced_word(last_character(text.substr(0, at))) &&
           is_of_spaced_word(first_character(text.substr(at)));
  };
  return is_within_word(begin) || is_within_word(end);
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
    if (is_letter_or_digit(c)) {
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

const std::string& expected_by(const Example& example, bool is_of_outputs) {
  return example.answer && !is_of_outputs ? *example.answer : example.output;
}

// What is chosen: an answer or, of an example without one, its output.
const std::string& answer_of(const Example& example) { return expected_by(example, /*is_of_outputs=*/false); }

constexpr std::array table{
    ScoreMetric{.name = "accuracy",
                .summary =
                    "the share of greedy answers whose last words, as many as the answer has, are the answer, whatever "
                    "the case and the marks around them",
                .score = accuracy,
                .needs_answers = true},
    ScoreMetric{.name = "exact",
                .summary = "the share of greedy answers that are the answer, or else the output, and nothing else",
                .score = exact},
    ScoreMetric{.name = "contains",
                .summary = "the share of greedy answers in which the answer, or else the output, stands",
                .score = contains},
    ScoreMetric{.name = "choice",
                .summary = "the share of examples whose answer is the most probable of the task's answers, or of the "
                           "example's `choices`, by the sum of the nll of its tokens",
                .of = ScoreOf::chosen},
    ScoreMetric{.name = "nll",
                .summary = "the mean negative log-likelihood of a response token",
                .of = ScoreOf::likelihood,
                .is_share = false,
                .more_is_better = false,
                .unit = "nats per token"},
    ScoreMetric{.name = "rouge-l",
                .summary = "the mean F1 of the longest common subsequence of words of greedy answer and output",
                .score = rouge_l,
                .is_share = false,
                .is_of_outputs = true},
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
  require(!metric.needs_answers || has_answers(task),
          "{} has no answers for --metric {}: expected `answer` in each example, or another metric", task.name,
          metric.name);
  const bool is_text = std::ranges::any_of(task.examples, &Example::is_text);
  require(!is_text || !has_outputs(metric),
          "{} has texts without prompts, which nothing answers: expected --metric nll, not {}", task.name, metric.name);
  if (metric.of == ScoreOf::chosen) {
    const ChoicesOfTask choices(task);
    for (const auto& example : task.examples) static_cast<void>(choices.of(example));
  }
  return metric;
}

bool has_outputs(std::string_view metric) { return has_outputs(find_metric(metric)); }

const std::string& expected_of(const Example& example, const ScoreMetric& metric) {
  return expected_by(example, metric.is_of_outputs);
}

std::string_view plain_number(std::string_view word) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::size_t point = word.find('.');
  if (point == word.npos) return word;
  const std::string_view sign_and_whole = word.substr(0, point), fraction = word.substr(point + 1);
  const std::string_view whole = sign_and_whole.substr(sign_and_whole.starts_with('-') ? 1 : 0);
  const bool is_number = !whole.empty() && !fraction.empty() && std::ranges::all_of(whole, is_digit) &&
                         std::ranges::all_of(fraction, is_digit);
  if (!is_number) return word;
  const std::size_t last = word.find_last_not_of('0');
  return word.substr(0, last == point ? point : last + 1);
}

bool is_correct(std::string_view generated, std::string_view answer) {
  const std::size_t n = words_of(answer).size(), all = words_of(generated).size();
  return n > 0 && all >= n && are_same(folded(generated, all - n), folded(answer));
}

bool is_exact(std::string_view generated, std::string_view expected) {
  return are_same(folded(generated), folded(expected));
}

bool contains_answer(std::string_view generated, std::string_view expected) {
  const std::string said = folded(generated), whole = folded(expected);
  const std::string_view wanted = without_marks(whole);
  if (wanted.empty()) return false;
  for (std::size_t at = said.find(wanted); at != said.npos; at = said.find(wanted, at + 1)) {
    if (!cuts_word(said, at, at + wanted.size())) return true;
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
  answers_ = task.answers;
  std::unordered_set<std::string> seen(answers_.begin(), answers_.end());
  for (const auto& e : task.examples) {
    if (const std::string& answer = answer_of(e); seen.insert(answer).second) answers_.push_back(answer);
  }
  const bool has_own = std::ranges::none_of(task.examples, [](const Example& e) { return e.choices.empty(); });
  require(has_own || answers_.size() > 1,
          "{} has one answer, '{}', and there is nothing to choose: expected more, or `choices` in each example",
          task.name, answers_.front());
  require(has_own || answers_.size() <= most,
          "{} has {} distinct answers, too many to choose among: expected at most {}, `choices` in each example, or "
          "another metric, such as exact or nll",
          task.name, answers_.size(), most);
  const Example& first = task.examples.front();
  const std::size_t at = first.output.rfind(answer_of(first));
  if (at == std::string::npos) return;
  const std::string before = first.output.substr(0, at);
  const std::string after = first.output.substr(at + answer_of(first).size());
  if (std::ranges::all_of(task.examples, [&](const Example& e) { return e.output == before + answer_of(e) + after; })) {
    before_ = before;
    after_ = after;
  }
}

Choices ChoicesOfTask::of(const Example& example) const {
  const auto& answers = example.choices.empty() ? answers_ : example.choices;
  const std::string& answer = answer_of(example);
  const auto right = std::ranges::find(answers, answer);
  require(answers.size() > 1 && right != answers.end(),
          "the choices of '{}' are {}: expected two or more, and the answer '{}' among them", example.instruction,
          fmt::join(answers, ", "), answer);
  return {answers, static_cast<std::size_t>(right - answers.begin())};
}

std::string ChoicesOfTask::response_of(std::string_view answer) const {
  return fmt::format("{}{}{}", before_, answer, after_);
}

}  // namespace csreft
