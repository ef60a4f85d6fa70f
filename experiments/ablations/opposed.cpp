#include "experiments/ablations/opposed.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace csreft {
namespace {

constexpr std::size_t kinds = 2;

// An example's output for each kind of answer, in the order of the answers.
std::map<std::string, std::string> outputs_of(const Task& task) {
  std::map<std::string, std::string> outputs;
  if (!has_answers(task)) return outputs;
  for (const auto& example : task.examples) outputs.emplace(*example.answer, example.output);
  return outputs;
}

Example reversed(Example example, const std::map<std::string, std::string>& outputs) {
  auto next = std::next(outputs.find(*example.answer));
  if (next == outputs.end()) next = outputs.begin();
  example.instruction = "Give the reversed answer.\n\n" + example.instruction;
  example.answer = next->first;
  example.output = next->second;
  return example;
}

// The first half of the examples, and as many for the reverse: from the first `shared` of that half and from the other.
std::pair<Task, Task> split_shared(const Task& task, double shared, const std::map<std::string, std::string>& outputs) {
  const std::size_t half = task.examples.size() / 2;
  const auto n_shared = static_cast<std::size_t>(std::llround(shared * static_cast<double>(half)));
  Task given{.name = task.name, .examples = {}}, reverse{.name = "reversed_" + task.name, .examples = {}};
  for (std::size_t i = 0; i < half; ++i) {
    given.examples.push_back(task.examples[i]);
    const Example& other = task.examples[i < n_shared ? i : half + i];
    if (outputs.contains(*other.answer)) reverse.examples.push_back(reversed(other, outputs));
  }
  return {std::move(given), std::move(reverse)};
}

}  // namespace

std::optional<TaskSet> opposed_tasks(std::span<const Task> train, std::span<const Task> test, double shared) {
  for (const auto& task : train) {
    const auto outputs = outputs_of(task);
    if (outputs.size() != kinds || task.examples.size() < 4) continue;
    const auto of_test = std::ranges::find_if(
        test, [&](const Task& t) { return task_stem(t.name) == task_stem(task.name) && t.examples.size() >= 2; });
    if (of_test == test.end() || !has_answers(*of_test)) continue;
    auto [given, reverse] = split_shared(task, shared, outputs);
    auto [given_test, reverse_test] = split_shared(*of_test, shared, outputs);
    if (reverse_test.examples.empty()) continue;
    return TaskSet{.train = {std::move(given), std::move(reverse)},
                   .test = {std::move(given_test), std::move(reverse_test)}};
  }
  return std::nullopt;
}

}  // namespace csreft
