#include "experiments/training/run_flags.h"

#include <set>

#include <doctest/doctest.h>

#include "tests/error_text.h"
#include "tests/tiny_chat.h"

TEST_CASE("times are read with their units, and others are refused") {
  using csreft::parse_duration;
  CHECK(parse_duration("90", "--t") == 90.0);
  CHECK(parse_duration("90s", "--t") == 90.0);
  CHECK(parse_duration("1.5m", "--t") == 90.0);
  CHECK(parse_duration("2h", "--t") == 7200.0);
  CHECK(parse_duration("0", "--t") == 0.0);
  for (const char* text : {"", "s", "-1", "-1s", "5 s", "5d", "5ms", "inf", "nan", "1e999"}) {
    CAPTURE(text);
    CHECK(contains(error_text([&] { return parse_duration(text, "--t"); }), "--t "));
  }
}

TEST_CASE("a share for validation leaves the rest to training, the same for the same seed") {
  csreft::ValidationFlags flags;
  flags.sources = {"0.25"};
  const auto split = [&](std::uint64_t seed) {
    std::vector<csreft::Task> train{letter_task(8), letter_task(2)};
    train[1].name = "two";
    auto taken = flags.take(train, seed);
    REQUIRE(taken.size() == 2);
    CHECK(taken[0].examples.size() == 2);
    CHECK(train[0].examples.size() == 6);
    CHECK(taken[1].examples.size() == 1);  // never none, never all
    CHECK(train[1].examples.size() == 1);
    CHECK(taken[1].name == "two");
    std::multiset<std::string> all, before;
    for (const auto* task : {&taken[0], &train[0]}) {
      for (const auto& e : task->examples) all.insert(e.instruction);
    }
    for (const auto& e : letter_task(8).examples) before.insert(e.instruction);
    CHECK(all == before);
    return taken[0].examples[0].instruction + taken[0].examples[1].instruction;
  };
  CHECK(split(1) == split(1));
  std::set<std::string> drawn;
  for (std::uint64_t seed = 0; seed < 8; ++seed) drawn.insert(split(seed));
  CHECK(drawn.size() > 1);
  CHECK(flags.files().empty());
}

TEST_CASE("shares that are none, and tasks too small for one, are refused") {
  csreft::ValidationFlags flags;
  const auto refusal = [&](const std::string& source, std::size_t examples) {
    flags.sources = {source};
    return error_text([&] {
      std::vector<csreft::Task> train{letter_task(examples)};
      return flags.take(train, 0).size();
    });
  };
  for (const char* share : {"0", "1", "1.5", "-0.1"}) CHECK(contains(refusal(share, 8), "expected a share between"));
  CHECK(contains(refusal("0.5", 1), "has one example"));
  CHECK(contains(refusal("0.5x", 8), "0.5x"));  // a file that is not there
}
