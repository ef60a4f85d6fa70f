#include "experiments/ablations/opposed.h"

#include <set>

#include <doctest/doctest.h>

namespace {

using csreft::Task;

// Texts 0, 1, ...: even or odd.
Task parity(const std::string& name, int n) {
  Task task{.name = name, .examples = {}};
  for (int i = 0; i < n; ++i) {
    const std::string answer = i % 2 == 0 ? "even" : "odd";
    task.examples.push_back(
        {.instruction = std::to_string(i), .input = {}, .output = "It is " + answer, .answer = answer, .dataset = {}});
  }
  return task;
}

std::set<std::string> texts(const Task& task) {
  std::set<std::string> out;
  for (const auto& example : task.examples) {
    out.insert(example.instruction.substr(example.instruction.find_last_of('\n') + 1));
  }
  return out;
}

}  // namespace

TEST_CASE("opposed tasks ask for contrary answers, to as many of the same texts as they should") {
  const std::vector<Task> train{parity("parity.train", 20)}, test{parity("parity.test", 8)};
  for (const double shared : {0.0, 0.5, 1.0}) {
    CAPTURE(shared);
    const auto set = csreft::opposed_tasks(train, test, shared);
    REQUIRE(set.has_value());
    REQUIRE(set->train.size() == 2);
    const Task &given = set->train[0], &reverse = set->train[1];
    CHECK(csreft::task_stem(reverse.name) == "reversed_parity");
    REQUIRE(given.examples.size() == 10);
    REQUIRE(reverse.examples.size() == 10);
    int common = 0;
    for (const auto& text : texts(reverse)) common += texts(given).contains(text) ? 1 : 0;
    CHECK(common == static_cast<int>(10 * shared));
    for (const auto& example : reverse.examples) {
      const int number = std::stoi(example.instruction.substr(example.instruction.find_last_of('\n') + 1));
      CHECK(*example.answer == (number % 2 == 0 ? "odd" : "even"));
      CHECK(example.output == "It is " + *example.answer);
      CHECK(example.instruction.starts_with("Give the reversed answer."));
    }
    CHECK(set->test[0].examples.size() == 4);
    CHECK(set->test[1].examples.size() == 4);
  }
}

TEST_CASE("there are no opposed tasks where every answer is another") {
  Task task = parity("numbers.train", 20);
  for (auto& example : task.examples) example.answer = example.instruction;
  Task test = parity("numbers.test", 8);
  CHECK_FALSE(csreft::opposed_tasks(std::span(&task, 1), std::span(&test, 1), 0.5).has_value());
  CHECK_FALSE(csreft::opposed_tasks({}, {}, 0.5).has_value());
}
