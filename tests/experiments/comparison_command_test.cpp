// Comparisons as a user runs them: shared work, varied options, drift, and the first table.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <regex>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/environment.h"
#include "tests/experiments/comparison_bench.h"
#include "tests/source.h"

using nlohmann::json;

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
  const Words times{"training_seconds", "tokens_per_second", "milliseconds_a_step"};
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
  const Words times{"training_seconds", "tokens_per_second", "milliseconds_a_step"};
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

TEST_CASE("a folder holds one comparison: cells of other options do not come into its table") {
  const Bench bench;
  run(bench, command({"ablate", "router"}, flags(bench, "kept"), {"--variants", "loreft", "--seeds", "1"}));
  check_refused(bench, command({"ablate", "router"}, flags(bench, "kept"), {"--variants", "lora", "--steps", "2"}),
                "kept holds another comparison (training/steps");
  const json made = json::parse(bench.chat.folder.read("kept/router.json"));
  CHECK(contains(made["command"].get<std::string>(), "ablate router"));
  CHECK_FALSE(made["commit"].get<std::string>().empty());
}

TEST_CASE("the same command that is started several times at once shares one new folder") {
  const Bench bench;
  const Words words = command({"ablate", "router"}, flags(bench, "shared"),
                              {"--variants", "learned,loreft", "--seeds", "2", "--threads", "1"});
  std::vector<ProgramResult> results(4);
  {
    std::vector<std::jthread> processes;
    for (auto& result : results) processes.emplace_back([&] { result = bench.run(words); });
  }
  for (const auto& result : results) {
    CAPTURE(result.err);
    CHECK(result.code == 0);
  }
  CHECK(read_table(bench, "shared/router.tsv").size() == 4);
}

TEST_CASE("what killed processes have left of tables and locks is gone after the next start") {
  const Bench bench;
  const Words words = command({"ablate", "router"}, flags(bench, "left"), {"--variants", "loreft", "--seeds", "1"});
  run(bench, words);
  const Snapshot before = snapshot(bench.chat.folder / "left");
  for (const char* name : {"left/router.tsv.tmp-7-0", "left/report.html.tmp-7-0", "left/loreft-0/.csreft-lock"}) {
    bench.chat.folder.write(name, "7");
  }
  run(bench, words);
  const Snapshot after = snapshot(bench.chat.folder / "left");
  CHECK(after.size() == before.size());
  for (const auto& [file, bytes] : before) CHECK(after.contains(file));
}

TEST_CASE("a cell that fails is named at the end, when the others are done") {
  const Bench bench;
  run(bench, command({"ablate", "router"}, flags(bench, "failing"), {"--variants", "ones", "--seeds", "1"}));
  std::filesystem::create_directories(bench.chat.folder / "failing/loreft-0");
  bench.chat.folder.write("failing/loreft-0/other.txt", "not a run's");
  const auto result = bench.run(
      command({"ablate", "router"}, flags(bench, "failing"), {"--variants", "loreft,learned", "--seeds", "1"}));
  CHECK(result.code == 2);
  CHECK(contains(result.err, "error: 1 of 3 cells failed, the first of them loreft, seed 0: "));
  const Table table = read_table(bench, "failing/router.tsv");
  REQUIRE(table.size() == 2);
  CHECK(table[1].at("variant") == "ones");
}

TEST_CASE("the drift of a part of the variants is measured from the untrained model, whatever its name") {
  const Bench bench;
  bench.chat.folder.write("other.json", letter_json(3));
  for (const char* variant : {"lora", "none", "red"}) {
    run(bench, command({"table1"}, flags(bench, "part"),
                       {"--variants", variant, "--seeds", "1", "--steps", "1", "--elsewhere", "other.json"}));
  }
  const Table table = read_table(bench, "part/table1.tsv");
  REQUIRE(table.size() == 3);
  for (const auto& line : table) CHECK_FALSE(line.at("drift").empty());
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

  // Nor does the model as it is have any.
  run(bench, command({"table1"}, flags(bench, "ranks"),
                     {"--vary", "rank=2", "--variants", "none,loreft:rank=2", "--seeds", "1", "--steps", "1"}));
  CHECK(read_table(bench, "ranks/table1.tsv").size() == 2);
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

  // The processes of --jobs do not start others because the file says so once more.
  bench.chat.folder.write("jobs.json", R"({"jobs": 2})");
  run(bench, command({"ablate", "router"}, flags(bench, "two"),
                     {"--variants", "loreft", "--seeds", "1", "--config", "jobs.json"}));
  CHECK(read_table(bench, "two/router.tsv").size() == 1);
  CHECK_FALSE(contains(bench.chat.folder.read("two/jobs/1.log"), "cells  "));
}

TEST_CASE("each comparison makes each of its variants in one command") {
  const Bench bench;
  const std::string list = run(bench, {"ablate"});
  const std::regex line("\n  ([a-z]+): ");
  std::vector<std::string> names;
  for (std::sregex_iterator it(list.begin(), list.end(), line), end; it != end; ++it) names.push_back((*it)[1]);
  CHECK(names.size() >= 10);
  for (const auto& name : names) {
    CAPTURE(name);
    run(bench, command({"ablate", name}, flags(bench, name), {"--seeds", "1", "--steps", "1"}));
    CHECK_FALSE(read_table(bench, fmt::format("{0}/{0}.tsv", name)).empty());
    CHECK_FALSE(read_table(bench, fmt::format("{0}/{0}-summary.tsv", name)).empty());
  }
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
  refused({"--vary", "seed=5,6"}, "--vary seed is not possible: expected --seeds");
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
  run(bench, command({"table1"}, flags(bench, "table"), {"--seeds", "1", "--steps", "1"}));
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
  // The two tasks are the same: each has with the other what it has with itself on other examples.
  for (const char* variant : {"loreft", "open"}) {
    const std::string own = rows[variant]["own_cosine_before"];
    REQUIRE_FALSE(own.empty());
    CHECK(rows[variant]["gradient_cosine_before"] == own);
    CHECK(std::stod(own) < 1.0);
  }
  const json measured = json::parse(bench.chat.folder.read("between/labels-0/summary.json"))["measured"]["after"];
  // By labels, each subspace has the gradient of its task alone.
  CHECK(measured["cosine_by_subspace"].size() == 2);
  CHECK(measured["cosine_by_subspace"][0][0][1].is_null());
  CHECK(measured["cosine_by_subspace"][0][0][0].is_number());
  CHECK(measured["principal_angles"][0][0]["degrees"].size() == 2);
  CHECK(rows["only:one"]["gradient_cosine_before"].empty());
  // A line for each of two moments, for all parameters, each layer and each subspace, and for each pair of tasks.
  std::map<std::string, std::size_t> lines;
  for (const auto& line : read_table(bench, "between/interference-cosines.tsv")) {
    if (line.at("variant") == "labels") ++lines[line.at("when") + " " + line.at("part")];
  }
  const std::size_t layers = measured["cosine_by_layer"].size();
  CHECK(layers > 0);
  CHECK(lines.size() == 2 * (1 + layers + 2));
  CHECK(lines["before all"] == 4);
  CHECK(lines["after subspace 2"] == 4);
}

TEST_CASE("the report of a comparison has the differences of variants scored on the same answers") {
  const Bench bench;
  const auto given = flags(bench, "answered");
  for (const char* task : {"one", "two"}) {
    bench.chat.folder.write(std::string(task) + ".test.json",
                            R"([{"instruction": "a", "output": "b", "answer": "b"},
                                {"instruction": "b", "output": "a", "answer": "a"}])");
  }
  run(bench, command({"ablate", "gate"}, given, {"--variants", "top1,soft", "--seeds", "2", "--steps", "1"}));
  const std::string page = bench.chat.folder.read("answered/report.html");
  CHECK(contains(page, "<h2>Differences from top1</h2>"));
  CHECK(contains(page, "2 seeds and the examples"));
}

TEST_CASE("differences are by the metric that the variants are scored by, in its units") {
  const Bench bench;
  run(bench, command({"ablate", "gate"}, flags(bench, "scored"),
                     {"--variants", "top1,soft", "--seeds", "1", "--steps", "1", "--metric", "rouge-l"}));
  const std::string page = bench.chat.folder.read("scored/report.html");
  CHECK(contains(page, "<td>mean over tasks</td><td>rouge-l</td>"));
  CHECK_FALSE(contains(page, "<td>mean over tasks</td><td>accuracy</td>"));
}

TEST_CASE("overhead measures an adapter beside the model alone") {
  const Bench bench;
  check_refused(bench, command({"ablate", "overhead"}, flags(bench, "none"), {"--jobs", "2"}),
                "overhead measures times, and takes neither --jobs nor --hosts");
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
