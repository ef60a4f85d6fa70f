// What quickstart shows, on a small random model.
#include <algorithm>
#include <array>
#include <regex>

#include <doctest/doctest.h>

#include "tests/experiments/command_bench.h"

TEST_SUITE_BEGIN("needs WordNet");

TEST_CASE("quickstart shows each score once, in a table of methods by skills, with gates and a sample of each skill") {
  const Bench bench;
  const auto run = bench.run({"quickstart", "--smoke", "--quiet", "--model", "model", "--out", "run", "--limit", "2"});
  CAPTURE(run.err);
  CAPTURE(run.out);
  REQUIRE(run.code == 0);
  const auto count = [&run](const std::string& pattern) {
    const std::regex expression(pattern);
    return std::distance(std::sregex_iterator(run.out.begin(), run.out.end(), expression), std::sregex_iterator());
  };
  CHECK(count("\naccuracy +category +part_of_speech +base_form +antonym +mean +trained parameters\n") == 1);
  for (const char* method : {"before", "loreft", "csreft-paper", "csreft"}) {
    CAPTURE(method);
    CHECK(count("\n" + std::string(method) + R"(( +[01]\.\d{3}){5} +\d+\n)") == 1);
  }
  CHECK(count(R"([01]\.\d{3}(?!\d))") == 4 * 5);  // and nowhere else
  CHECK(count("\ngates of csreft-paper +subspace 1 +subspace 2 +subspace 3 +subspace 4\n") == 1);
  CHECK(count("\ngates of csreft +subspace 1 ") == 1);
  CHECK(count("\nantonym( +[01]\\.\\d{2}){4}\n") == 2);
  CHECK(count("\n> W") == 4);
  CHECK(count("\n  expected +") == 4);
}

TEST_SUITE_END();
