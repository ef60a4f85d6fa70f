#include "experiments/tasks/task.h"

#include <string>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace {

using csreft::Error;
using csreft::is_correct;
using csreft::load_task;
using csreft::Task;

std::string error_of(const std::string& text) {
  const TemporaryFolder folder;
  return error_text([&] { return load_task(folder.write("bad.json", text)); });
}

}  // namespace

TEST_CASE("a task is read from a JSON list and named after its file") {
  const TemporaryFolder folder;
  const auto file =
      folder.write("colours.train.json", R"([{"instruction": "sky?", "input": "day", "output": "it is blue",
    "answer": "blue"}, {"instruction": "grass?", "input": "", "output": "it is green"}])");
  const Task task = load_task(file);
  CHECK(task.name == "colours.train");
  REQUIRE(task.examples.size() == 2);
  CHECK(task.examples[0].input == "day");
  CHECK(task.examples[0].answer == "blue");
  CHECK_FALSE(task.examples[1].answer.has_value());
}

TEST_CASE("a task is read from JSON lines, blank lines and missing inputs included") {
  const TemporaryFolder folder;
  const auto file =
      folder.write("colours.jsonl",
                   "{\"instruction\": \"sky?\", \"output\": \"blue\", \"dataset\": \"d\", \"generator\": \"g\"}\n"
                   "\n{\"instruction\": \"grass?\", \"output\": \"green\"}");
  const Task task = load_task(file);
  CHECK(task.name == "colours");
  REQUIRE(task.examples.size() == 2);
  CHECK(task.examples[0].input.empty());
  CHECK(task.examples[1].output == "green");
}

TEST_CASE("a bad task file is an error that says where") {
  CHECK_THROWS_AS(load_task("/no/such/file.json"), Error);
  CHECK(contains(error_of("[{\"instruction\": \"a\",\n \"output\": \"b"), "line 2"));
  CHECK(contains(error_of("[{\"instruction\": \"a\",\n \"output\": \"b"), "the text ends here"));
  CHECK(contains(error_of("{\"instruction\": \"a\", \"output\": \"b\"}\n{\"instruction\""), "line 2"));
  CHECK(contains(error_of("3"), "holds a number: expected a list"));
  CHECK(contains(error_of(""), "no examples"));
  CHECK(contains(error_of(" \n"), "no examples"));
  CHECK(contains(error_of("[]"), "no examples"));
  CHECK(contains(error_of("[3]"), "element 0"));
  const std::string good = R"({"instruction": "a", "output": "b"})";
  CHECK(contains(error_of("[" + good + R"(, {"instruction": "a"}])"), "no \"output\" in element 1"));
  CHECK(contains(error_of("[" + good + R"(, {"output": "a"}])"), "no \"instruction\" in element 1"));
  CHECK(contains(error_of(R"([{"instruction": "a", "output": 3}])"), "\"output\" is a number"));
  CHECK(contains(error_of(R"([{"instruction": "a", "output": "b", "answer": null}])"), "\"answer\" is a null"));
  CHECK(contains(error_of("[{\"instruction\": \"\xff\", \"output\": \"b\"}]"), "broken JSON"));
}

TEST_CASE("the stem of a task's name joins its training and its test part") {
  CHECK(csreft::task_stem("sentiment.train") == "sentiment");
  CHECK(csreft::task_stem("sentiment.test") == "sentiment");
  CHECK(csreft::task_stem("alpaca_eval") == "alpaca_eval");
  CHECK(csreft::task_stem(".test") == ".test");
}

TEST_CASE("an answer is the last word, less one full stop, whatever its case") {
  CHECK(is_correct("the correct answer is animal", "animal"));
  CHECK(is_correct("The correct answer is Animal.\n", "animal"));
  CHECK(is_correct("animal", "animal"));
  CHECK(is_correct("the expression is 5.00-4.28", "5.00-4.28"));
  CHECK_FALSE(is_correct("animal or plant", "animal"));
  CHECK_FALSE(is_correct("an animal..", "animal"));
  CHECK_FALSE(is_correct("subanimal", "animal"));
  CHECK_FALSE(is_correct("", "animal"));
  CHECK_FALSE(is_correct(" \n", "animal"));
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
