// What quickstart shows, on a small random model.
#include <algorithm>
#include <array>
#include <regex>

#include <doctest/doctest.h>

#include "tests/experiments/command_bench.h"

TEST_CASE("quickstart has no flags that would change nothing in it") {
  const Bench bench;
  const auto help = bench.run({"quickstart", "--help"}).out;
  for (const char* flag : {"--loss-on", "--validate-every", "--keep"}) {
    CAPTURE(flag);
    CHECK(contains(bench.run({"train", "--help"}).out, flag));
    CHECK_FALSE(contains(help, flag));
    check_refused(bench, {"quickstart", flag, "1"}, "unknown flag " + std::string(flag));
  }
}

TEST_SUITE_BEGIN("needs WordNet");

TEST_CASE("quickstart tells flags that the optimizer has no use for, and learns the skills one by one if asked") {
  const Bench bench;
  const auto run = bench.run({"quickstart", "--smoke", "--quiet", "--model", "model", "--out", "run", "--examples", "2",
                              "--tests", "1", "--steps", "1", "--order", "sequence", "--landing-lambda", "2"});
  CAPTURE(run.err);
  CAPTURE(run.out);
  REQUIRE(run.code == 0);
  CHECK(contains(run.out, "note: --landing-lambda has no effect on optimizer riemannian_adam\n"));
  for (const char* folder : {"run", "run/loreft", "run/csreft-paper"}) {
    const std::string lines = bench.chat.folder.read(std::string(folder) + "/sequence.jsonl");
    CHECK(std::ranges::count(lines, '\n') == 4);
  }
}

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
