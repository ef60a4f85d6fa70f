#include "experiments/tasks/task.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include <fmt/ranges.h>

#include "core/base/hash.h"
#include "experiments/tasks/blank.h"

namespace csreft {

Skipped& Skipped::operator+=(const Skipped& other) {
  too_long += other.too_long;
  without_response += other.without_response;
  empty += other.empty;
  with_tools += other.with_tools;
  return *this;
}

std::string describe(const Skipped& skipped, std::size_t used) {
  if (skipped.total() == 0) return "";
  std::vector<std::string> reasons;
  const auto add = [&](std::int64_t n, std::string_view reason) {
    if (n > 0) reasons.push_back(fmt::format("{} {}", n, reason));
  };
  add(skipped.too_long, "too long");
  add(skipped.without_response, "without a response");
  add(skipped.empty, "empty");
  add(skipped.with_tools, "with tools");
  return fmt::format("skipped {} of {}: {}", skipped.total(), skipped.total() + static_cast<std::int64_t>(used),
                     fmt::join(reasons, ", "));
}

void collect_answers(Task& task) {
  std::unordered_set<std::string> seen(task.answers.begin(), task.answers.end());
  for (const auto& e : task.examples) {
    if (e.answer && seen.insert(*e.answer).second) task.answers.push_back(*e.answer);
  }
}

bool has_answers(const Task& task) {
  return std::ranges::all_of(task.examples, [](const Example& e) { return e.answer.has_value(); });
}

std::uint64_t content_hash(const Task& task) {
  std::uint64_t hash = fnv1a_start;
  const auto add = [&hash](std::string_view text) { hash = fnv1a("\n", fnv1a(text, hash)); };
  for (const auto& e : task.examples) {
    for (const auto& text : {e.instruction, e.input, e.output, e.answer.value_or("")}) add(text);
    // Earlier versions had none of what follows.
    if (!e.system.empty()) add(e.system);
    for (const auto& [role, content] : e.history) {
      add(role);
      add(content);
    }
    for (const std::size_t turn : e.not_learnt) add(fmt::format("turn {} is not learnt", turn));
    for (const auto& choice : e.choices) add(choice);
    if (e.is_text) add("text");
  }
  return hash;
}

std::string task_stem(std::string_view name) {
  for (const std::string_view suffix : {".train", ".test"}) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) name.remove_suffix(suffix.size());
  }
  return std::string(name);
}

std::vector<std::string> task_stems(std::span<const Task> tasks) {
  std::vector<std::string> stems;
  for (const auto& task : tasks) {
    if (std::string stem = task_stem(task.name); std::ranges::find(stems, stem) == stems.end()) {
      stems.push_back(std::move(stem));
    }
  }
  return stems;
}

namespace {

// The length of the longest start that all instructions share and that ends with a whole word, of `text` as far as it
// is shared; from_end: of the longest end that starts with one.
std::size_t shared_length(std::span<const Example> examples, bool from_end) {
  const std::string& first = examples.front().instruction;
  const auto at = [from_end](const std::string& text, std::size_t i) {
    return text[from_end ? text.size() - 1 - i : i];
  };
  std::size_t length = first.size();
  for (const auto& e : examples) {
    std::size_t same = 0;
    while (same < std::min(length, e.instruction.size()) && at(e.instruction, same) == at(first, same)) ++same;
    length = same;
  }
  while (length > 0 && blanks.find(at(first, length - 1)) == blanks.npos) --length;
  return length;
}

void remove_ends(Task& task, const std::string& prefix, const std::string& suffix) {
  for (auto& e : task.examples) {
    std::string_view text = e.instruction;
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == text.npos) continue;
    e.instruction = std::string(text.substr(begin, text.find_last_not_of(blanks) + 1 - begin));
  }
}

}  // namespace

void remove_template(Task& train, Task& test) {
  if (train.examples.size() < 2) return;
  const std::string& first = train.examples.front().instruction;
  const std::string prefix = first.substr(0, shared_length(train.examples, /*from_end=*/false));
  const std::string suffix = first.substr(first.size() - shared_length(train.examples, /*from_end=*/true));
  remove_ends(train, prefix, suffix);
  remove_ends(test, prefix, suffix);
}

}  // namespace csreft
