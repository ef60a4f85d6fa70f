// ./run train --order sequence, as a user runs it.
#include <chrono>
#include <csignal>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/tensor/random.h"
#include "tests/experiments/command_bench.h"

namespace {

using nlohmann::json;

// A bench with two tasks that can be told apart.
struct SequenceBench : Bench {
  SequenceBench() {
    for (const std::string task : {"one", "two"}) {
      json examples = json::parse(letter_json(8));
      for (auto& e : examples) {
        if (task == "two") e["instruction"] = "zz " + e["instruction"].get<std::string>() + " zz";
      }
      chat.folder.write(task + ".json", examples.dump());
      chat.folder.write(task + ".test.json", json(std::vector<json>(examples.begin(), examples.begin() + 4)).dump());
    }
  }

  Words sequence(const std::map<std::string, std::string>& changes = {}) const {
    std::map<std::string, std::string> flags{
        {"--order", "sequence"}, {"--train", "one.json"}, {"--test", "one.test.json"}};
    for (const auto& [flag, value] : changes) flags[flag] = value;
    Words words = train(flags);
    words.insert(words.end(), {"--train", "two.json", "--test", "two.test.json"});
    return words;
  }
  json read(const std::string& file) const { return json::parse(chat.folder.read(file)); }
};

}  // namespace

TEST_CASE("train --order sequence prints and keeps how all tasks do after each, and the measures") {
  const SequenceBench bench;
  for (const char* method : {"loreft", "growing"}) {
    CAPTURE(method);
    const std::string out = method;
    const auto result = bench.run(bench.sequence({{"--out", out}, {"--method", method}}));
    CAPTURE(result.err);
    REQUIRE(result.code == 0);
    CHECK(contains(result.out, std::string(method) + ": accuracy on each task, after each was learnt\n"));
    CHECK(contains(result.out, "  (untrained) "));
    CHECK(contains(result.out, "forward transfer "));
    const json summary = bench.read(out + "/summary.json");
    CHECK(summary["steps"] == 4);
    const std::string page = bench.chat.folder.read(out + "/report.html");
    CHECK(contains(page, "<h2>One task after the other</h2>"));
    CHECK(contains(page, "<tr><th>" + out + " after</th><th>one</th><th>two</th></tr>"));
    CHECK(contains(page, ", backward transfer "));
    const json& sequence = summary["sequence"];
    CHECK(sequence["tasks"] == std::vector<std::string>{"one", "two"});
    REQUIRE(sequence["scores"].size() == 2);
    for (std::size_t j = 0; j < 2; ++j) {
      const std::string test = j == 0 ? "one.test" : "two.test";
      CHECK(sequence["scores"][1][j] == summary["tasks"][test]["accuracy"]);
      CHECK(sequence["untrained"][j] == summary["untrained"][test]["accuracy"]);
    }
    CHECK(sequence["average"].is_number());
    std::istringstream lines(bench.chat.folder.read(out + "/sequence.jsonl"));
    std::string line;
    for (const char* task : {"one", "two"}) {
      REQUIRE(std::getline(lines, line));
      CHECK(json::parse(line)["task"] == task);
      CHECK(json::parse(line)["tasks"]["two.test"]["n"] == 4);
    }
    CHECK(json::parse(line)["tasks"] == summary["tasks"]);
    CHECK_FALSE(std::getline(lines, line));
  }
  // The adapter that has grown answers by itself, and scores what the run did.
  const auto scored = bench.run({"evaluate", "--quiet", "--model", "model", "--adapter", "growing", "--test",
                                 "one.test.json", "--test", "two.test.json", "--out", "scores.json"});
  CAPTURE(scored.err);
  REQUIRE(scored.code == 0);
  const json scores = bench.read("scores.json"), summary = bench.read("growing/summary.json");
  CHECK(scores["tasks"] == summary["tasks"]);
  CHECK(scores["gates"] == summary["gates"]);
  CHECK(summary["gates"]["one.test"] == std::vector<double>{1.0, 0.0});
  CHECK(summary["gates"]["two.test"] == std::vector<double>{0.0, 1.0});
  CHECK(summary["router"]["mean_overlap"].get<double>() < 1e-6);
}

TEST_CASE("a sequence that is stopped or killed ten times at any moment ends as one that is not, bit for bit") {
  const SequenceBench bench;
  const std::map<std::string, std::string> flags{
      {"--method", "growing"}, {"--epochs", "60"}, {"--save-every", "0.005s"}, {"--threads", "1"}};
  const auto words_of = [&](const std::string& out) {
    auto all = flags;
    all["--out"] = out;
    return bench.sequence(all);
  };
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(bench.run(words_of("whole")).code == 0);
  const double whole_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  csreft::Random random(/*seed=*/12, /*stream=*/0);
  Words words = words_of("run");
  int stopped = 0;
  auto latest_ms = static_cast<std::uint64_t>(whole_ms / 2);
  for (int starts = 0; stopped < 10 && starts < 100; ++starts) {
    const int after = 1 + static_cast<int>(random.below(std::max<std::uint64_t>(latest_ms, 2)));
    const int signal = starts % 2 == 0 ? SIGKILL : SIGINT;
    const auto result =
        run_program(words, {.folder = bench.chat.folder.path(), .signal = signal, .signal_after_ms = after});
    CAPTURE(result.err);
    if (result.code == 0) {  // came to its end: begins anew, and is stopped earlier
      std::filesystem::remove_all(bench.chat.folder / "run");
      words = words_of("run");
      latest_ms = latest_ms * 3 / 4;
      continue;
    }
    // A signal before the run has begun to listen ends it as it would any other.
    REQUIRE((result.code == 128 + signal || result.code == 130));
    ++stopped;
    if (std::filesystem::exists(bench.chat.folder / "run/.csreft-run")) words = {"train", "--quiet", "--resume", "run"};
  }
  CHECK(stopped == 10);
  const auto last = bench.run(words);
  CAPTURE(last.err);
  REQUIRE(last.code == 0);
  const json whole = bench.read("whole/summary.json"), run = bench.read("run/summary.json");
  for (const char* key : {"train_loss", "tasks", "untrained", "sequence", "gates"}) {
    CAPTURE(key);
    CHECK(run[key] == whole[key]);
  }
  for (const char* file : {"adapter/adapter.safetensors", "sequence.jsonl"}) {
    CHECK(bench.chat.folder.read(std::string("run/") + file) == bench.chat.folder.read(std::string("whole/") + file));
  }
}

TEST_CASE("a sequence without tests is not scored; one that lacks a test, or is to be extended, is refused") {
  const SequenceBench bench;
  check_refused(bench, bench.sequence({{"--test", "test.json"}}), "one has no test files");
  check_refused(bench, bench.train({{"--order", "sequence"}}), "--order sequence has one task, train, to learn");
  check_refused(bench, bench.sequence({{"--order", "sequential"}}), "unknown order 'sequential'");
  Words words = bench.train({{"--order", "sequence"}, {"--train", "one.json"}});
  words.insert(words.end(), {"--train", "two.json"});
  REQUIRE(bench.run(words).code == 0);
  CHECK_FALSE(std::filesystem::exists(bench.chat.folder / "run/sequence.jsonl"));
  CHECK_FALSE(bench.read("run/summary.json").contains("sequence"));
  check_refused(bench, {"train", "--resume", "run", "--epochs", "3"}, "learns tasks in sequence cannot be extended");
}
