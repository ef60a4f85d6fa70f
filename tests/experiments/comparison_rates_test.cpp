// How comparisons choose learning rates.
#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/experiments/comparison_bench.h"

namespace {

using nlohmann::json;

// Of each variant of a rates.tsv, the rate that was chosen: one.
std::map<std::string, std::string> chosen_rates(const Table& rates) {
  std::map<std::string, std::string> chosen;
  for (const auto& line : rates) {
    if (line.at("chosen") == "yes") CHECK(chosen.emplace(line.at("variant"), line.at("rate")).second);
  }
  return chosen;
}

json config_of(const Bench& bench, const std::string& cell) {
  return json::parse(bench.chat.folder.read(cell + "/config.json"));
}

}  // namespace

TEST_CASE("validation data that cannot be scored are refused before anything is trained") {
  const Bench bench;
  Words words = command({"ablate", "router"}, flags(bench, "search", "1e-3,1e-2"),
                        {"--variants", "loreft", "--seeds", "1", "--metric", "accuracy"});
  for (const char* file : {"one.train.json", "two.train.json"}) {
    json examples = json::parse(letter_json(10));
    for (auto& example : examples) example.erase("answer");
    bench.chat.folder.write(file, examples.dump());
  }
  check_refused(bench, words, "has no answers for --metric accuracy");
  CHECK_FALSE(std::filesystem::exists(bench.chat.folder / "search"));
}

TEST_CASE("each variant has the rate with which it did best on validation data, whatever the test data are") {
  const Bench bench;
  const Words more{"--variants", "loreft,lora", "--seeds", "2"};
  run(bench, command({"ablate", "router"}, flags(bench, "rates", "1e-9,1e-2"), more));
  const Table rates = read_table(bench, "rates/rates.tsv");
  REQUIRE(rates.size() == 4);
  const auto chosen_of = chosen_rates(rates);
  for (const std::string variant : {"loreft", "lora"}) {
    const std::string& chosen = chosen_of.at(variant);
    double best = -1.0;
    for (const auto& line : rates) {
      if (line.at("variant") == variant) best = std::max(best, std::stod(line.at("score")));
    }
    for (const auto& line : rates) {
      if (line.at("variant") == variant && line.at("rate") == chosen) CHECK(std::stod(line.at("score")) == best);
    }
    for (const int seed : {0, 1}) {
      CHECK(config_of(bench, fmt::format("rates/{}-{}", variant, seed))["train"]["lr"] == std::stod(chosen));
    }
    // The search never sees a test example, and trains on no validation example: ten a task, one set apart.
    const json search = config_of(bench, fmt::format("rates/rates/{}@{}-0", variant, chosen));
    for (const auto& task : search["data"]["train"]) CHECK(task["examples"] == 9);
    for (const auto& task : search["data"]["test"]) {
      CHECK(task["examples"] == 1);
      CHECK(contains(task["task"].get<std::string>(), ".train"));
    }
  }
  for (const char* wrong : {"fast", "-1", "1e-3,1e-3", "0"}) {
    check_refused(bench, command({"ablate", "router"}, flags(bench, "none", wrong)), "--rates");
  }
}

TEST_CASE("the orders of a method in sequence share the rate of the first, and a trained model's weights do not stay") {
  const Bench bench;
  const Words more{"--variants", "loreft:order=1,loreft:order=2,full:order=2", "--seeds", "1"};
  run(bench, command({"ablate", "sequential"}, flags(bench, "sequence", "1e-9,1e-2"), more));
  const Table rates = read_table(bench, "sequence/rates.tsv");
  REQUIRE(rates.size() == 4);
  const auto chosen = chosen_rates(rates);
  REQUIRE(chosen.size() == 2);
  const auto rate_of = [&](const char* cell) -> double {
    return config_of(bench, fmt::format("sequence/{}-0", cell))["train"]["lr"];
  };
  CHECK(rate_of("loreft:order=1") == std::stod(chosen.at("loreft")));
  CHECK(rate_of("loreft:order=2") == std::stod(chosen.at("loreft")));
  CHECK(rate_of("full:order=2") == std::stod(chosen.at("full")));

  const Table table = read_table(bench, "sequence/sequential.tsv");
  REQUIRE(table.size() == 3);
  for (const auto& line : table) {
    for (const char* column : {"average", "backward", "forward", "forgetting"}) {
      CHECK(std::isfinite(std::stod(line.at(column))));
    }
  }
  const auto holds = [&](const char* file) { return std::filesystem::exists(bench.chat.folder / file); };
  CHECK(holds("sequence/loreft:order=2-0/adapter"));
  for (const char* file : {"adapter", "state.safetensors"}) {
    CHECK_FALSE(holds(fmt::format("sequence/full:order=2-0/{}", file).c_str()));
  }
}

TEST_CASE("rates are chosen on examples that nobody learns from, where there are enough") {
  const Bench bench;
  run(bench, command({"ablate", "router"}, flags(bench, "spare", "1e-9,1e-2"),
                     {"--variants", "loreft", "--seeds", "1", "--examples", "7"}));
  const json search = config_of(bench, "spare/rates/loreft@0.01-0");
  for (const auto& task : search["data"]["train"]) CHECK(task["examples"] == 7);
  for (const auto& task : search["data"]["test"]) CHECK(task["examples"] == 3);
  for (const auto& line : read_table(bench, "spare/rates.tsv")) {
    CHECK(line.at("examples") == "6");
    const double score = std::stod(line.at("score"));
    // Of two tasks with three examples each, all of one score: p (1 - p) / 3 at most.
    CHECK(std::stod(line.at("error")) <= std::sqrt(2 * 0.25 / 3) / 2 + 1e-4);
    CHECK((score >= 0.0 && score <= 1.0));
  }
}

TEST_CASE("a learning rate that is given, or varied, takes the place of the search, and not of one that is asked for") {
  const Bench bench;
  const Words auto_rates = flags(bench, "own", "auto");
  run(bench,
      command({"ablate", "sequential"}, auto_rates, {"--variants", "loreft:order=1", "--seeds", "1", "--lr", "3e-3"}));
  CHECK_FALSE(std::filesystem::exists(bench.chat.folder / "own/rates.tsv"));
  CHECK(config_of(bench, "own/loreft:order=1-0")["train"]["lr"] == 3e-3);
  check_refused(bench, command({"ablate", "router"}, flags(bench, "none", "1e-3,1e-2"), {"--lr", "1e-3"}),
                "--rates and --lr do not go together");
  check_refused(bench, command({"ablate", "router"}, flags(bench, "none", "1e-3,1e-2"), {"--vary", "lr=1e-3"}),
                "--rates and --vary lr do not go together");
}

TEST_CASE("an unknown variant is named, with rates to search for as without") {
  const Bench bench;
  for (const char* rates : {"", "1e-3,1e-2"}) {
    check_refused(bench, command({"ablate", "router"}, flags(bench, "none", rates), {"--variants", "lorreft"}),
                  "unknown variant 'lorreft'");
  }
}
