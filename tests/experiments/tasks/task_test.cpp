#include "experiments/tasks/task.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

TEST_CASE("the stem of a task's name joins its training and its test part") {
  CHECK(csreft::task_stem("sentiment.train") == "sentiment");
  CHECK(csreft::task_stem("sentiment.test") == "sentiment");
  CHECK(csreft::task_stem("alpaca_eval") == "alpaca_eval");
  CHECK(csreft::task_stem(".test") == ".test");
}

TEST_CASE("what is skipped is told in a line with its reasons") {
  CHECK(csreft::describe({}, 4).empty());
  CHECK(csreft::describe({.too_long = 2, .without_response = 1}, 37) ==
        "skipped 3 of 40: 2 too long, 1 without a response");
  CHECK(csreft::describe({.empty = 1, .with_tools = 2}, 0) == "skipped 3 of 3: 1 empty, 2 with tools");
}

TEST_CASE("the hash of a task's contents tells all that its prompts are made of") {
  const csreft::Example plain{.instruction = "a", .input = "", .output = "b", .answer = {}, .dataset = ""};
  const auto hash = [](const csreft::Example& example) {
    return csreft::content_hash({.name = "t", .examples = {example}});
  };
  std::vector<csreft::Example> others(4, plain);
  others[0].system = "s";
  others[1].history = {{"user", "h"}, {"assistant", "i"}};
  others[2].choices = {"b", "c"};
  others[3].is_text = true;
  for (const auto& other : others) CHECK(hash(other) != hash(plain));
}

TEST_CASE("a template is what all prompts of a task begin and end with, in whole words") {
  const auto task = [](const std::vector<std::string>& instructions) {
    csreft::Task made{.name = "a", .examples = {}};
    for (const auto& text : instructions) {
      made.examples.push_back({.instruction = text, .input = "", .output = "yes", .answer = {}, .dataset = ""});
    }
    return made;
  };
  auto train = task({"Is it hot?\n\nthe sun\n\nAnswer: yes/no", "Is it hot?\n\nthat moon\n\nAnswer: yes/no"});
  auto test = task({"Is it hot?\n\nfire\n\nAnswer: yes/no", "another form", "Is it hot?\n\n\n\nAnswer: yes/no"});
  csreft::remove_template(train, test);
  // "th" at the start and "n" at the end are shared, and are no words.
  CHECK(train.examples[0].instruction == "the sun");
  CHECK(train.examples[1].instruction == "that moon");
  CHECK(test.examples[0].instruction == "fire");
  CHECK(test.examples[1].instruction == "another form");
  // Nothing would be left of the third.
  CHECK(test.examples[2].instruction == "Is it hot?\n\n\n\nAnswer: yes/no");

  auto one = task({"Is it hot?"});
  csreft::remove_template(one, test);
  CHECK(one.examples[0].instruction == "Is it hot?");
}
