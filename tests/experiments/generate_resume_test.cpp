// A file of instructions whose answers take long: what was answered is not answered again.
#include <algorithm>
#include <csignal>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/experiments/command_bench.h"

namespace {

using nlohmann::json;

// 40 instructions in batches of 4, drawn and long, so that a start lasts a while.
struct AskBench : Bench {
  AskBench() {
    json list = json::array();
    for (int i = 0; i < 40; ++i) list.push_back({{"instruction", "ask " + std::to_string(i)}});
    chat.folder.write("ask.json", list.dump());
  }
  static Words words(const std::string& out, const Words& more = {}) {
    Words words{"generate",  "--quiet", "--model",       "model", "--data",           "ask.json",
                "--out",     out,       "--batch",       "4",     "--seed",           "3",
                "--threads", "1",       "--temperature", "1",     "--max-new-tokens", "120"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  ProgramResult killed(const Words& command, int signal, int after_ms) const {
    return run_program(command, {.folder = chat.folder.path(), .signal = signal, .signal_after_ms = after_ms});
  }
  // The answers that a part has: a line each, after the first.
  std::ptrdiff_t count_part(const std::string& out) const {
    const std::string part = chat.folder.read(out + ".part");
    return std::max<std::ptrdiff_t>(std::ranges::count(part, '\n') - 1, 0);
  }
};

}  // namespace

TEST_CASE("answers that are killed again and again end as those of one go, byte for byte") {
  const AskBench bench;
  REQUIRE(bench.run(AskBench::words("whole.json")).code == 0);
  CHECK_FALSE(std::filesystem::exists(bench.chat.folder / "whole.json.part"));
  const Words words = AskBench::words("killed.json");
  std::ptrdiff_t before = 0;
  bool went_on = false, is_done = false;
  // Later and later, so that a slow machine comes on, too.
  for (int after_ms = 20; !is_done && after_ms < 60'000; after_ms += after_ms / 4) {
    const auto result = bench.killed(words, SIGKILL, after_ms);
    // A kill may come when all is done.
    is_done = result.code == 0 || (std::filesystem::exists(bench.chat.folder / "killed.json") &&
                                   !std::filesystem::exists(bench.chat.folder / "killed.json.part"));
    const bool says_so = contains(result.out, "goes on after " + std::to_string(before) + " of 40 answers\n");
    if (result.code == 0) CHECK(says_so == (before > 0));
    went_on = went_on || before > 0;
    if (!is_done) {
      CHECK(bench.count_part("killed.json") >= before);
      before = bench.count_part("killed.json") / 4 * 4;
    }
  }
  CHECK(is_done);
  CHECK(went_on);
  CHECK(bench.chat.folder.read("killed.json") == bench.chat.folder.read("whole.json"));
  CHECK_FALSE(std::filesystem::exists(bench.chat.folder / "killed.json.part"));
}

TEST_CASE("a part of the answers goes on, whatever of a batch or of a line a kill has left") {
  const AskBench bench;
  REQUIRE(bench.run(AskBench::words("whole.json")).code == 0);
  const auto whole = json::parse(bench.chat.folder.read("whole.json"));
  const Words words = AskBench::words("out.json");
  // The first line as a start writes it that is stopped at once.
  std::string header;
  for (int after_ms = 5; header.empty() && after_ms < 10'000; after_ms += 5) {
    std::filesystem::remove(bench.chat.folder / "out.json.part");
    static_cast<void>(bench.killed(words, SIGKILL, after_ms));
    const std::string part = bench.chat.folder.read("out.json.part");
    header = part.substr(0, part.find('\n') + 1);
  }
  REQUIRE(!header.empty());
  std::string lines;
  for (std::size_t i = 0; i < 10; ++i) lines += whole[i].dump() + "\n";
  bench.chat.folder.write("out.json.part", header + lines + whole[10].dump().substr(0, 20));
  const auto result = bench.run(words);
  CAPTURE(result.err);
  CHECK(result.code == 0);
  CHECK(contains(result.out, "goes on after 8 of 40 answers\n40 answers in out.json\n"));
  CHECK(bench.chat.folder.read("out.json") == bench.chat.folder.read("whole.json"));

  // Of other instructions, of other options, or of no command.
  bench.chat.folder.write("out.json.part", header + lines);
  check_refused(bench, AskBench::words("out.json", {"--top-k", "3"}),
                "answers to something else (top_k: 0 there, 3 here)");
  bench.chat.folder.write("ask.json", R"([{"instruction": "another"}])");
  check_refused(bench, words, "answers to something else (data: ");
  bench.chat.folder.write("out.json.part", "mine\n");
  check_refused(bench, words, "out.json.part, line 1 is not valid JSON");
}

TEST_CASE("Ctrl-C leaves the answers that there are, and the same command goes on") {
  const AskBench bench;
  REQUIRE(bench.run(AskBench::words("whole.json")).code == 0);
  const Words words = AskBench::words("out.json");
  ProgramResult result;
  for (int after_ms = 40; after_ms < 60'000; after_ms += after_ms / 2) {
    result = bench.killed(words, SIGINT, after_ms);
    if (result.code == 0 || bench.count_part("out.json") > 0) break;
  }
  CAPTURE(result.err);
  if (result.code != 0) {
    CHECK(result.code == 130);
    CHECK(contains(result.out, "interrupted; the same command goes on\n"));
    const auto some = json::parse(bench.chat.folder.read("out.json"));
    CHECK(std::ssize(some) == bench.count_part("out.json"));
    REQUIRE(bench.run(words).code == 0);
  }
  CHECK(bench.chat.folder.read("out.json") == bench.chat.folder.read("whole.json"));
}
