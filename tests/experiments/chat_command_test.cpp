// A conversation whose questions come through a pipe.
#include <algorithm>
#include <csignal>
#include <regex>

#include <doctest/doctest.h>

#include "tests/experiments/command_bench.h"

namespace {

ProgramResult chat(const Bench& bench, const std::string& input, const Words& more = {}) {
  Words words{"chat", "--model", "model", "--threads", "1", "--max-new-tokens", "4"};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words, {.folder = bench.chat.folder.path(), .input = input});
}

std::ptrdiff_t count(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern);
  return std::distance(std::sregex_iterator(text.begin(), text.end(), expression), std::sregex_iterator());
}

}  // namespace

TEST_CASE("a conversation shows each question with its answer, and ends with its input or by /quit") {
  const Bench bench;
  const auto talk = chat(bench, "A\n\nB\n");
  CAPTURE(talk.out);
  CHECK(talk.code == 0);
  CHECK(talk.err.starts_with("note: the model's files have no chat template: "));
  CHECK(count(talk.err, "\n") == 1);
  CHECK(talk.out.starts_with("> A\n"));
  CHECK(contains(talk.out, "\n\n> B\n"));
  CHECK_FALSE(contains(talk.out, "base"));
  const auto quit = chat(bench, "/quit\nA\n");
  CHECK(quit.code == 0);
  CHECK(quit.out == "> /quit\n");
}

TEST_CASE("earlier turns are a part of the prompt until /reset") {
  const Bench bench;
  // Greedy answers: the same prompt has the same answer.
  const auto answers = [&](const std::string& input) {
    std::vector<std::string> out;
    const std::string text = chat(bench, input).out;
    for (std::size_t at = text.find("> A\n"); at != std::string::npos; at = text.find("> A\n", at + 1)) {
      const std::size_t begin = at + 4;
      out.push_back(text.substr(begin, text.find("\n\n", begin) - begin));
    }
    return out;
  };
  const auto reset = answers("A\n/reset\nA\n");
  REQUIRE(reset.size() == 2);
  CHECK(reset[0] == reset[1]);
  const auto again = answers("A\n/system s\nA\n/system\nA\n");
  REQUIRE(again.size() == 3);
  CHECK(again[0] == again[2]);
}

TEST_CASE("an adapter answers below the base model, with its gates, or alone") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--method", "csreft"}, {"--subspaces", "2"}})).code == 0);
  const auto both = chat(bench, "A\n", {"--adapter", "run"});
  CAPTURE(both.out);
  CHECK(both.code == 0);
  CHECK(count(both.out, "\nbase    ") == 1);
  CHECK(count(both.out, "\ncsreft  ") == 1);
  CHECK(both.out.find("base") < both.out.find("csreft"));
  CHECK(count(both.out, R"(\n        \(gates [01]\.\d\d [01]\.\d\d\)\n)") == 1);
  const auto alone = chat(bench, "A\n", {"--adapter", "run", "--no-base"}).out;
  CHECK_FALSE(contains(alone, "base"));
  CHECK(count(alone, R"(\n\(gates )") == 1);
}

TEST_CASE("what cannot be answered is told, and the conversation goes on") {
  const Bench bench;
  const auto talk = chat(bench, "/nothing\n" + std::string(200, 'x') + "\nA\n");
  CHECK(talk.code == 0);
  CHECK(contains(talk.out, "there is no command /nothing\n  /reset"));
  CHECK(contains(talk.out, "expected at most 156"));  // the context of 160, less an answer
  CHECK(contains(talk.out, "\n> A\n"));
  // One after the other, questions outgrow the context.
  std::string many;
  for (int i = 0; i < 12; ++i) many += "question\n";
  CHECK(contains(chat(bench, many).out, "of the oldest turns"));
}

TEST_CASE("Ctrl-C stops one answer and not the conversation") {
  const Bench bench;
  std::string many;
  for (int i = 0; i < 60; ++i) many += "/reset\nA\n";
  const Words words{"chat", "--model", "model", "--threads", "1", "--temperature", "1", "--max-new-tokens", "100"};
  bool stopped = false;
  // Later and later, so that a signal falls into an answer on a slow machine, too. Before the first question it ends
  // the process, as it should.
  for (int after_ms = 20; !stopped && after_ms < 60'000; after_ms += after_ms / 2) {
    const auto talk = run_program(
        words, {.folder = bench.chat.folder.path(), .input = many, .signal = SIGINT, .signal_after_ms = after_ms});
    stopped = contains(talk.out, "... (stopped)\n");
    if (!stopped) continue;
    CHECK(talk.code == 0);
    CHECK(count(talk.out, "> A\n") == 60);
    CHECK(count(talk.out, R"(\.\.\. \(stopped\)\n)") == 1);
  }
  CHECK(stopped);
}
