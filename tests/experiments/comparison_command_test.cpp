// Comparisons as a user runs them: shared work, chosen rates, varied options, drift, and the first table.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <map>
#include <regex>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/environment.h"
#include "tests/experiments/command_bench.h"
#include "tests/source.h"

namespace {

using nlohmann::json;

// Two tasks in the bench's folder, and the flags that all comparisons here share.
Words flags(const Bench& bench, const std::string& out) {
  for (const char* task : {"one", "two"}) {
    bench.chat.folder.write(std::string(task) + ".train.json", letter_json(10));
    bench.chat.folder.write(std::string(task) + ".test.json", letter_json(2));
  }
  return {"--model",        "model",  "--train",         "one.train.json",
          "two.train.json", "--test", "one.test.json",   "two.test.json",
          "--subspaces",    "2",      "--rank",          "2",
          "--layers",       "1",      "--router-hidden", "4",
          "--epochs",       "1",      "--batch",         "4",
          "--out",          out,      "--quiet"};
}

Words command(Words words, const Words& more, const Words& rest = {}) {
  words.insert(words.end(), more.begin(), more.end());
  words.insert(words.end(), rest.begin(), rest.end());
  return words;
}

std::string run(const Bench& bench, const Words& words) {
  const auto result = bench.run(words);
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  return result.out;
}

using Table = std::vector<std::map<std::string, std::string>>;

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream stream(line);
  for (std::string word; std::getline(stream, word, '\t');) words.push_back(word);
  return words;
}

// The lines of a table, each by the names of its header.
Table read_table(const Bench& bench, const std::string& file) {
  std::istringstream lines(bench.chat.folder.read(file));
  std::string line;
  std::getline(lines, line);
  const auto header = words_of(line);
  Table table;
  while (std::getline(lines, line)) {
    const auto words = words_of(line);
    REQUIRE(words.size() <= header.size());
    table.emplace_back();
    for (std::size_t i = 0; i < header.size(); ++i) table.back()[header[i]] = i < words.size() ? words[i] : "";
  }
  return table;
}

Table without(Table table, const Words& columns) {
  for (auto& line : table) {
    for (const auto& column : columns) line.erase(column);
  }
  return table;
}

}  // namespace

TEST_CASE("ablate alone lists the ablations, a line each and more where it helps") {
  const Bench bench;
  const std::string list = run(bench, {"ablate"});
  for (const char* name :
       {"router", "gate", "rank", "subspaces", "layers", "positions", "orthonormality", "interference", "overhead"}) {
    CHECK(contains(list, "\n  " + std::string(name)));
  }
}

TEST_CASE("processes side by side make the cells that one makes") {
  const Bench bench;
  const Words variants{"--variants", "learned,loreft,ones", "--seeds", "2", "--threads", "1"};
  run(bench, command({"ablate", "router"}, flags(bench, "one"), variants));
  const std::string out =
      run(bench, command({"ablate", "router"}, flags(bench, "three"), command(variants, {"--jobs", "3"})));
  CHECK(contains(out, "learned"));
  const Words times{"training_seconds", "tokens_per_second"};
  CHECK(without(read_table(bench, "three/router.tsv"), times) == without(read_table(bench, "one/router.tsv"), times));
  // Each cell was made once: the logs of the processes name each of the seven.
  std::string logs;
  for (const char* log : {"1", "2", "3"}) logs += bench.chat.folder.read("three/jobs/" + std::string(log) + ".log");
  const std::regex begun("\\[[0-9]+/7\\] ([a-z]+, seed [0-9])");
  std::vector<std::string> names;
  for (std::sregex_iterator it(logs.begin(), logs.end(), begun), end; it != end; ++it) names.push_back((*it)[1]);
  std::ranges::sort(names);
  CHECK(names == std::vector<std::string>{"learned, seed 0", "learned, seed 1", "loreft, seed 0", "loreft, seed 1",
                                          "ones, seed 0", "ones, seed 1", "untrained, seed 0"});
  check_refused(bench, command({"ablate", "router"}, flags(bench, "none"), {"--jobs", "0"}), "--jobs 0");
}

TEST_CASE("what one of several processes says when it fails is the command's error") {
  const Bench bench;
  const Words words = command({"ablate", "router"}, flags(bench, "jobs"), {"--variants", "loreft", "--jobs", "2"});
  run(bench, words);
  // Its cell is broken: whoever reads it says so.
  bench.chat.folder.write("jobs/loreft-0/summary.json", "{");
  const auto result = bench.run(words);
  CHECK(result.code == 2);
  CHECK(contains(result.err, "error: "));
  CHECK(contains(result.err, "loreft-0/summary.json"));
}

TEST_CASE("a comparison of several processes that is stopped goes on to the same table") {
  const Bench bench;
  const Words variants{"--variants", "learned,loreft", "--seeds", "3", "--threads", "1", "--epochs", "4"};
  Words words = flags(bench, "whole");
  words.erase(std::ranges::find(words, "--epochs"), std::ranges::find(words, "--epochs") + 2);
  run(bench, command({"ablate", "router"}, words, variants));
  std::ranges::replace(words, "whole", "stopped");
  const Words jobs = command({"ablate", "router"}, words, command(variants, {"--jobs", "2"}));
  const auto stopped =
      run_program(jobs, {.folder = bench.chat.folder.path(), .signal = SIGTERM, .signal_after_ms = 150});
  CHECK((stopped.code == 130 || stopped.code == 0 || stopped.code == 128 + SIGTERM));
  run(bench, jobs);
  const Words times{"training_seconds", "tokens_per_second"};
  CHECK(without(read_table(bench, "stopped/router.tsv"), times) ==
        without(read_table(bench, "whole/router.tsv"), times));
}

TEST_CASE("--hosts hands the command to GNU parallel, which runs it in the same folder on each machine") {
  const Bench bench;
  // A stand-in that has one machine: this one.
  std::filesystem::create_directories(bench.chat.folder / "bin");
  bench.chat.folder.write("bin/parallel",
                          "#!/bin/sh\nprintf '%s\\n' \"$@\" > parallel.txt\nfor last; do :; done\nsh -c \"$last\"\n");
  std::filesystem::permissions(bench.chat.folder / "bin/parallel", std::filesystem::perms::owner_all);
  bench.chat.folder.write("machines", "a\nb\n");
  const Words words = command({"ablate", "router"}, flags(bench, "spread"),
                              {"--variants", "loreft", "--seeds", "1", "--hosts", "machines"});
  check_refused(bench, command({"ablate", "router"}, flags(bench, "spread"), {"--hosts", "nowhere"}),
                "nowhere is not there: expected a file that lists machines");
  const char* path = std::getenv("PATH");
  const EnvironmentVariable with_stand_in("PATH",
                                          (bench.chat.folder / "bin").string() + ":" + (path != nullptr ? path : ""));
  const EnvironmentVariable command_name("CSREFT_COMMAND", tested_program());
  run(bench, words);
  CHECK(read_table(bench, "spread/router.tsv").size() == 1);
  const std::string given = bench.chat.folder.read("parallel.txt");
  CHECK(contains(given, "--nonall\n"));
  CHECK(contains(given, (bench.chat.folder / "machines").string()));
  CHECK_FALSE(contains(given, "--hosts"));
}

TEST_CASE("each variant has the rate with which it did best on validation data, whatever the test data are") {
  const Bench bench;
  const Words more{"--variants", "loreft,lora", "--seeds", "2", "--rates", "1e-9,1e-2"};
  const std::string out = run(bench, command({"ablate", "router"}, flags(bench, "rates"), more));
  const Table rates = read_table(bench, "rates/rates.tsv");
  REQUIRE(rates.size() == 4);
  for (const char* variant : {"loreft", "lora"}) {
    double best = -1.0;
    std::string chosen;
    for (const auto& line : rates) {
      if (line.at("variant") != variant) continue;
      const double score = std::stod(line.at("score"));
      if (score > best) best = score;
      if (line.at("chosen") == "yes") {
        CHECK(chosen.empty());
        chosen = line.at("rate");
      }
    }
    for (const auto& line : rates) {
      if (line.at("variant") == variant && line.at("rate") == chosen) CHECK(std::stod(line.at("score")) == best);
    }
    for (const char* seed : {"0", "1"}) {
      const json config =
          json::parse(bench.chat.folder.read("rates/" + std::string(variant) + "-" + seed + "/config.json"));
      CHECK(config["train"]["lr"] == std::stod(chosen));
    }
    // The search never sees a test example, and trains on no validation example: ten a task, one set apart.
    const json search =
        json::parse(bench.chat.folder.read("rates/rates/" + std::string(variant) + "@" + chosen + "-0/config.json"));
    for (const auto& task : search["data"]["train"]) CHECK(task["examples"] == 9);
    for (const auto& task : search["data"]["test"]) {
      CHECK(task["examples"] == 1);
      CHECK(contains(task["task"].get<std::string>(), ".train"));
    }
  }
  for (const char* wrong : {"fast", "-1", "1e-3,1e-3", "0"}) {
    check_refused(bench, command({"ablate", "router"}, flags(bench, "none"), {"--rates", wrong}), "--rates");
  }
}

TEST_CASE("the orders of a method in sequence share the rate of the first, and a trained model's weights do not stay") {
  const Bench bench;
  const Words more{"--variants", "loreft:order=1,loreft:order=2,full:order=2", "--seeds", "1", "--rates", "1e-9,1e-2"};
  run(bench, command({"ablate", "sequential"}, flags(bench, "sequence"), more));
  const Table rates = read_table(bench, "sequence/rates.tsv");
  REQUIRE(rates.size() == 4);
  std::map<std::string, double> chosen;
  for (const auto& line : rates) {
    if (line.at("chosen") == "yes") chosen[line.at("variant")] = std::stod(line.at("rate"));
  }
  REQUIRE(chosen.size() == 2);
  const auto rate_of = [&](const char* cell) -> double {
    return json::parse(bench.chat.folder.read(fmt::format("sequence/{}-0/config.json", cell)))["train"]["lr"];
  };
  CHECK(rate_of("loreft:order=1") == chosen.at("loreft"));
  CHECK(rate_of("loreft:order=2") == chosen.at("loreft"));
  CHECK(rate_of("full:order=2") == chosen.at("full"));

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

TEST_CASE("--vary makes a variant of each combination, without or with an ablation") {
  const Bench bench;
  const std::string out = run(bench, command({"ablate"}, flags(bench, "vary"),
                                             {"--vary", "rank=1,2", "--vary", "lr=2e-3,4e-3", "--seeds", "1"}));
  const Table table = read_table(bench, "vary/vary.tsv");
  REQUIRE(table.size() == 4);
  std::vector<std::string> names;
  for (const auto& line : table) names.push_back(line.at("variant"));
  CHECK(names == std::vector<std::string>{"csreft:rank=1:lr=2e-3", "csreft:rank=1:lr=4e-3", "csreft:rank=2:lr=2e-3",
                                          "csreft:rank=2:lr=4e-3"});
  CHECK(std::stol(table[0].at("trainable_parameters")) < std::stol(table[2].at("trainable_parameters")));
  const json config = json::parse(bench.chat.folder.read("vary/csreft:rank=1:lr=2e-3-0/config.json"));
  CHECK(config["train"]["lr"] == 2e-3);
  CHECK(config["method"]["rank"] == 1);

  // An option that a variant has not leaves it as it is.
  run(bench, command({"ablate", "router"}, flags(bench, "penalties"),
                     {"--vary", "lambda=0.1,0.2", "--variants", "loreft,learned:lambda=0.2", "--seeds", "1"}));
  const Table gates = read_table(bench, "penalties/router.tsv");
  REQUIRE(gates.size() == 2);
  CHECK(gates[0].at("variant") == "learned:lambda=0.2");
  CHECK(gates[1].at("variant") == "loreft");
}

TEST_CASE("a cell keeps what a file of flags gave, and not the file's name") {
  const Bench bench;
  bench.chat.folder.write("flags.json", R"({"lambda": 0.25})");
  run(bench,
      command({"ablate"}, flags(bench, "config"), {"--vary", "lr=2e-3", "--seeds", "1", "--config", "flags.json"}));
  const json config = json::parse(bench.chat.folder.read("config/csreft:lr=2e-3-0/config.json"));
  const auto given = config["arguments"].get<std::vector<std::string>>();
  CHECK(std::ranges::find(given, "--config") == given.end());
  CHECK(std::ranges::find(given, "--lambda=0.25") != given.end());
}

TEST_CASE("--vary names what it does not understand") {
  const Bench bench;
  const auto refused = [&](const Words& more, const std::string& part) {
    check_refused(bench, command({"ablate"}, flags(bench, "none"), more), part);
  };
  refused({"--vary", "rank"}, "--vary rank is not understood: expected an option and its values");
  refused({"--vary", "rank=1,1"}, "the value 1 twice");
  refused({"--vary", "ranks=1,2"}, "--vary ranks: no variant has that option");
  refused({"--vary", "rank=0"}, "rank 0");
  refused({"--vary", "rank=some"}, "rank");
  refused({"--vary", "method=lorra"}, "lora");
}

TEST_CASE("the drift is what training adds to the mean nll of other text") {
  const Bench bench;
  bench.chat.folder.write("other.json", letter_json(3));
  run(bench, command({"ablate", "router"}, flags(bench, "drift"),
                     {"--variants", "manual,loreft", "--seeds", "1", "--elsewhere", "other.json"}));
  const auto nll = [&](const std::string& cell) {
    return json::parse(bench.chat.folder.read("drift/" + cell + "-0/summary.json"))["elsewhere"].get<double>();
  };
  for (const auto& line : read_table(bench, "drift/router.tsv")) {
    // Printed with four digits.
    CHECK(std::stod(line.at("drift")) == doctest::Approx(nll(line.at("variant")) - nll("untrained")).epsilon(1e-3));
    CHECK(nll(line.at("variant")) != nll("untrained"));
  }
  // The same by evaluate, from the adapter: answers aside, the text is scored by nll.
  json without_answers = json::parse(bench.chat.folder.read("other.json"));
  for (auto& example : without_answers) example.erase("answer");
  bench.chat.folder.write("plain.json", without_answers.dump());
  run(bench, {"evaluate", "--quiet", "--model", "model", "--adapter", "drift/loreft-0", "--test", "plain.json", "--out",
              "scores"});
  const json scores = json::parse(bench.chat.folder.read("scores/summary.json"));
  CHECK(scores["tasks"]["plain"]["nll"].get<double>() == doctest::Approx(nll("loreft")).epsilon(1e-6));
  check_refused(bench,
                command({"ablate", "router"}, flags(bench, "drift"), {"--variants", "loreft", "--elsewhere", ""}),
                "holds another comparison (elsewhere");
}

TEST_CASE("table1 has every method, near the budget, and at an equal active rank") {
  const Bench bench;
  run(bench, command({"table1"}, flags(bench, "table"), {"--seeds", "1", "--rates", "", "--steps", "1"}));
  const Table table = read_table(bench, "table/table1.tsv");
  std::map<std::string, std::map<std::string, std::string>> rows;
  for (const auto& line : table) rows[line.at("method")] = line;
  CHECK(rows.size() == table.size());
  for (const char* method :
       {"none", "full", "lora", "olora", "red", "noreft", "loreft", "consreft", "lobireft", "direft", "nodireft",
        "csreft_paper", "csreft_specialised", "csreft_labels", "lora_loreft"}) {
    CAPTURE(method);
    REQUIRE(rows.contains(method));
    CHECK(rows[method].contains("one.test"));
    CHECK(rows[method].contains("mean"));
  }
  CHECK(rows["none"]["trained"] == "0");
  CHECK(rows["full"]["trained_percent"] == "100.000000");
  CHECK(rows.contains("loreft_active"));
  CHECK(std::stol(rows["loreft_active"]["trained"]) < std::stol(rows["loreft"]["trained"]));
  // The nearest rank: one more or less would be further away than half of its own numbers.
  const double budget = std::stod(rows["csreft_specialised"]["trained"]);
  const json loreft = json::parse(bench.chat.folder.read("table/loreft-0/config.json"));
  const double rank = loreft["method"]["rank"], size = std::stod(rows["loreft"]["trained"]);
  CHECK(std::abs(size - budget) <= size / rank / 2.0 + 1.0);
  // Full fine-tuning leaves no model behind.
  CHECK_FALSE(std::filesystem::exists(bench.chat.folder / "table/full-0/adapter"));
  CHECK(contains(bench.chat.folder.read("table/table1-summary.tsv"), "difference_low"));
}

TEST_CASE("interference tells what tasks teach each other, how their gradients lie, and what opposed tasks do") {
  const Bench bench;
  run(bench, command({"ablate", "interference"}, flags(bench, "between"), {"--seeds", "1", "--steps", "1"}));
  std::map<std::string, std::map<std::string, std::string>> rows;
  for (const auto& line : read_table(bench, "between/interference.tsv")) rows[line.at("variant")] = line;
  for (const char* variant : {"loreft", "csreft", "labels", "open", "only:one", "only:two"}) {
    CAPTURE(variant);
    REQUIRE(rows.contains(variant));
    CHECK_FALSE(rows[variant]["one.test"].empty());
    CHECK_FALSE(rows[variant]["two.test"].empty());
  }
  // The two tasks are the same: their gradients are, too, wherever both have one.
  CHECK(std::stod(rows["loreft"]["gradient_cosine_before"]) == doctest::Approx(1.0));
  CHECK(std::stod(rows["open"]["gradient_cosine_before"]) == doctest::Approx(1.0));
  const json measured = json::parse(bench.chat.folder.read("between/labels-0/summary.json"))["measured"]["after"];
  // By labels, each subspace has the gradient of its task alone.
  CHECK(measured["cosine_by_subspace"].size() == 2);
  CHECK(measured["cosine_by_subspace"][0][0][1].is_null());
  CHECK(measured["cosine_by_subspace"][0][0][0] == doctest::Approx(1.0));
  CHECK(measured["principal_angles"][0][0]["degrees"].size() == 2);
  CHECK(rows["only:one"]["gradient_cosine_before"].empty());
}

TEST_CASE("overhead measures an adapter beside the model alone") {
  const Bench bench;
  run(bench, command({"ablate", "overhead"}, flags(bench, "cost"),
                     {"--seeds", "1", "--steps", "1", "--variants", "single,csreft,lora"}));
  const Table table = read_table(bench, "cost/overhead.tsv");
  REQUIRE(table.size() == 3);
  for (const auto& line : table) {
    CHECK(std::stod(line.at("prompt_tokens_per_second")) > 0.0);
    CHECK(std::stod(line.at("generated_tokens_per_second")) > 0.0);
    CHECK(std::stod(line.at("generation_overhead")) > -1.0);
  }
}
