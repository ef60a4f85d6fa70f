// What inspect shows of an adapter's edits.
#include <algorithm>
#include <regex>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/experiments/command_bench.h"

namespace {

using nlohmann::json;

// The words of the line that begins with this one.
std::vector<std::string> words_of_line(const std::string& text, const std::string& first) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> out{std::istream_iterator<std::string>(words), {}};
    if (!out.empty() && out.front() == first) return out;
  }
  return {};
}

}  // namespace

TEST_CASE("inspect opens with a line a layer: mean sizes, and what each subspace has of them") {
  const Bench bench;
  REQUIRE(bench
              .run(bench.train(
                  {{"--method", "csreft"}, {"--subspaces", "2"}, {"--gate", "soft"}, {"--positions", "f2=l1"}}))
              .code == 0);
  const Words words{"inspect", "--model", "model", "--adapter", "run", "--prompt", "AAA", "--json", "all.json"};
  const auto result = bench.run(words);
  CAPTURE(result.out);
  REQUIRE(result.code == 0);
  const auto row = words_of_line(result.out, "1");  // 1 3 |h| |dh| x % cos a % b %
  REQUIRE(row.size() == 11);
  CHECK(row[1] == "3");
  const auto all = json::parse(bench.chat.folder.read("all.json"));
  REQUIRE(all["edits"].size() == 3);
  double before = 0, size = 0, relative = 0;
  for (const auto& edit : all["edits"]) {
    before += edit["norm_before"].get<double>() / 3;
    size += edit["norm_edit"].get<double>() / 3;
    relative += 100 * edit["norm_edit"].get<double>() / edit["norm_before"].get<double>() / 3;
  }
  // Half of the last digit shown.
  CHECK(std::abs(std::stod(row[2]) - before) <= 0.006);
  CHECK(std::abs(std::stod(row[3]) - size) <= 6e-4);
  CHECK(std::abs(std::stod(row[4]) - relative) <= 0.06);
  // Soft gates open both; shares are rounded to whole percents.
  CHECK(std::stod(row[7]) > 0);
  CHECK(std::stod(row[9]) > 0);
  CHECK(std::abs(std::stod(row[7]) + std::stod(row[9]) - 100) <= 1);
  CHECK_FALSE(contains(result.out, " -> "));

  // The one whose gate is open has all.
  auto steered = words;
  steered.insert(steered.end(), {"--alpha", "0,1"});
  const auto one = words_of_line(bench.run(steered).out, "1");
  REQUIRE(one.size() == 11);
  CHECK(one[7] == "0");
  CHECK(one[9] == "100");
}

TEST_CASE("inspect shows edits at positions that are asked for") {
  const Bench bench;
  REQUIRE(bench.run(bench.train()).code == 0);
  const auto rows = [&](const std::string& asked) {
    const auto result =
        bench.run({"inspect", "--model", "model", "--adapter", "run", "--prompt", "AAA", "--rows", asked});
    CAPTURE(result.err);
    CHECK(result.code == 0);
    const std::regex line(R"(\n +1 +\d+ .*->)");
    return std::distance(std::sregex_iterator(result.out.begin(), result.out.end(), line), std::sregex_iterator());
  };
  CHECK(rows("0,-1") == 2);
  CHECK(rows("2:5") == 3);
  CHECK(rows("all") > 5);
  check_refused(bench, {"inspect", "--model", "model", "--adapter", "run", "--prompt", "AAA", "--rows", "x"}, "'x'");
}
