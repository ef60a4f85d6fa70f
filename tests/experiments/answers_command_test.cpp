// What a run keeps of each test example.
#include <algorithm>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "experiments/training/answers.h"
#include "tests/experiments/command_bench.h"

namespace {

using csreft::Answer;
using nlohmann::json;

// The part of `correct` among the answers to a task.
double accuracy_of(const std::vector<Answer>& answers, const std::string& task) {
  double n = 0, right = 0;
  for (const auto& answer : answers) {
    if (answer.task != task) continue;
    ++n;
    right += answer.correct ? 1 : 0;
  }
  return right / n;
}

}  // namespace

TEST_CASE("a run keeps what it answered to each test example, with the gates, and shows what is wrong") {
  const Bench bench;
  bench.chat.folder.write("other.json", letter_json(3));
  bench.chat.folder.write("nll.json", R"([{"instruction": "A", "output": "a"}])");
  auto words = bench.train({{"--method", "csreft"}, {"--subspaces", "2"}});
  words.insert(words.end(), {"--test", "test.json", "other.json", "nll.json"});
  const auto result = bench.run(words);
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  const auto answers = csreft::read_answers(bench.chat.folder / "run");
  REQUIRE(answers.size() == 7);  // none for nll
  const auto summary = json::parse(bench.chat.folder.read("run/summary.json"));
  CHECK(summary["total_steps"] == 2);
  const csreft::Task task = letter_task(4);
  std::int64_t wrong = 0;
  for (std::size_t i = 0; i < 7; ++i) {
    const Answer& answer = answers[i];
    const std::size_t index = i < 4 ? i : i - 4;
    CHECK(answer.task == (i < 4 ? "test" : "other"));
    CHECK(answer.index == static_cast<std::int64_t>(index));
    CHECK(answer.instruction == task.examples[index].instruction);
    CHECK(answer.expected == *task.examples[index].answer);
    CHECK(answer.correct == csreft::is_correct(answer.output, answer.expected));
    REQUIRE(answer.gates.size() == 2);
    CHECK(answer.gates[0] + answer.gates[1] == 1.0);  // top1
    wrong += answer.correct ? 0 : 1;
  }
  for (const char* name : {"test", "other"}) CHECK(accuracy_of(answers, name) == summary["tasks"][name]["accuracy"]);
  const auto report = bench.chat.folder.read("run/report.html");
  CHECK(contains(report, fmt::format("csreft: {} of 7 answers {} wrong", wrong, wrong == 1 ? "is" : "are")));

  // Those of the model before it was trained are beside them, in the same form.
  const auto before = csreft::read_answers(bench.chat.folder / "run", csreft::untrained_answers_file_name);
  REQUIRE(before.size() == 7);
  for (std::size_t i = 0; i < 7; ++i) {
    CHECK(before[i].task == answers[i].task);
    CHECK(before[i].index == answers[i].index);
    CHECK(before[i].instruction == answers[i].instruction);
    CHECK(before[i].expected == answers[i].expected);
    CHECK(before[i].gates.empty());
  }
  for (const char* name : {"test", "other"}) {
    CHECK(accuracy_of(before, name) == summary["untrained"][name]["accuracy"]);
  }

  // The task's mean gates are the means of its examples'.
  double sum = 0;
  for (std::size_t i = 0; i < 4; ++i) sum += answers[i].gates[1];
  CHECK(summary["gates"]["test"][1] == doctest::Approx(sum / 4));

  // A run that takes its place keeps nothing of it.
  auto again = bench.train();
  again.emplace_back("--force");
  REQUIRE(bench.run(again).code == 0);
  for (const char* file : {"run/answers.jsonl", "run/answers-untrained.jsonl"}) {
    CAPTURE(file);
    CHECK_FALSE(std::filesystem::exists(bench.chat.folder / file));
  }
}

TEST_CASE("gates by token are kept as their mean over the prompt") {
  const Bench bench;
  REQUIRE(bench
              .run(bench.train({{"--method", "csreft"},
                                {"--subspaces", "2"},
                                {"--gate", "softmax"},
                                {"--gate-scope", "token"},
                                {"--router-input", "hidden"},
                                {"--test", "test.json"}}))
              .code == 0);
  for (const auto& answer : csreft::read_answers(bench.chat.folder / "run")) {
    REQUIRE(answer.gates.size() == 2);
    CHECK(answer.gates[0] + answer.gates[1] == doctest::Approx(1.0));  // f32 gates
  }
}

TEST_CASE("evaluate writes a folder with the scores, each answer and a report, or one file with the scores") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--test", "test.json"}})).code == 0);
  const Words common{"evaluate", "--quiet",   "--model",   "model", "--adapter", "run",
                     "--test",   "test.json", "--threads", "1",     "--out"};
  const auto to = [&](const Words& more) {
    Words words = common;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const auto result = bench.run(to({"checked"}));
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  CHECK(bench.chat.folder.read("checked/answers.jsonl") == bench.chat.folder.read("run/answers.jsonl"));
  const auto summary = json::parse(bench.chat.folder.read("checked/summary.json"));
  CHECK(summary["tasks"] == json::parse(bench.chat.folder.read("run/summary.json"))["tasks"]);
  CHECK(summary["method"] == "loreft");
  const auto report = bench.chat.folder.read("checked/report.html");
  CHECK(contains(report, "What it got wrong"));
  CHECK(contains(report, "<dt>adapter</dt><dd>run</dd>"));
  const auto config = json::parse(bench.chat.folder.read("checked/config.json"));
  CHECK(config["experiment"] == "evaluate");
  CHECK(config["data"]["test"][0]["path"] == (bench.chat.folder / "test.json").string());

  REQUIRE(bench.run(to({"scores.json"})).code == 0);
  auto scores = json::parse(bench.chat.folder.read("scores.json"));
  scores["method"] = "loreft";
  CHECK(scores == summary);

  check_refused(bench, to({"checked"}), "holds a finished run");
  check_refused(bench, to({"model"}), "is not the folder of a run");
  check_refused(bench, to({"scores.json", "--force"}), "--force has no effect");
  CHECK(bench.run(to({"checked", "--force"})).code == 0);
}

TEST_CASE("answers that were not written here are refused, by their line") {
  const TemporaryFolder folder;
  CHECK(csreft::read_answers(folder.path()).empty());
  const std::vector<Answer> answers{{.task = "a", .instruction = "x", .output = "y", .expected = "z"}};
  csreft::write_answers(folder.path(), answers);
  const std::string line = folder.read("answers.jsonl");
  CHECK(csreft::read_answers(folder.path()).size() == 1);
  const auto refused = [&](const std::string& text, const std::string& part) {
    folder.write("answers.jsonl", text);
    CHECK(contains(error_text([&] { return csreft::read_answers(folder.path()).size(); }), part));
  };
  refused(line + line.substr(0, 9), "answers.jsonl, line 2 is not valid JSON");
  refused(line + "\n", "line 2 is not valid JSON");
  refused(R"({"task": "a"})", "line 1: `index` is missing");
  json changed = json::parse(line);
  changed["correct"] = 1;
  refused(changed.dump(), "`correct` is number: expected true or false");
  changed = json::parse(line);
  changed["gates"] = "open";
  refused(changed.dump(), "`gates` is \"open\": expected a list of numbers");
}
