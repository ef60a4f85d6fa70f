// What the command line makes of routers: presets, gates that need a task, and the comparison of them all.
#include <regex>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/experiments/command_bench.h"

TEST_CASE("csreft trains with the preset that specialises, or with the gate that is asked for") {
  const Bench bench;
  bench.chat.folder.write("other.train.json", letter_json(4));
  const auto summary_of = [&](std::map<std::string, std::string> changes) {
    changes.insert({{"--method", "csreft"}, {"--subspaces", "2"}, {"--test", "test.json"}});
    changes["--train"] = "other.train.json";
    const auto result = bench.run(bench.train(changes));
    CAPTURE(result.err);
    REQUIRE(result.code == 0);
    return nlohmann::json::parse(bench.chat.folder.read(changes.at("--out") + "/summary.json"));
  };
  const auto specialised = summary_of({{"--out", "a"}});
  CHECK(specialised["preset"] == "specialised");
  CHECK(specialised["options"]["gate"] == "top1");
  CHECK(specialised["router"].contains("normalised_mutual_information"));
  const auto paper = summary_of({{"--out", "b"}, {"--gate", "soft"}});
  CHECK(paper["preset"] == "paper");
  CHECK(paper["options"]["penalty"] == "none");
  CHECK(paper["options"]["router_input"] == "prompt_mean");
  const auto custom = summary_of({{"--out", "c"}, {"--penalty", "none"}});
  CHECK(custom["preset"] == "custom");
  CHECK(custom["options"]["lambda"] == 0.0);
  CHECK(custom["options"]["router_start"] == "clusters");
}

TEST_CASE("an adapter whose gates are decided by the task generates only when it is told which") {
  const Bench bench;
  bench.chat.folder.write("one.train.json", letter_json(4));
  auto words = bench.train({{"--method", "csreft"}, {"--gate", "onehot"}, {"--train", "one.train.json"}});
  words.insert(words.end(), {"--train", "train.json"});
  REQUIRE(bench.run(words).code == 0);
  const Words generate{"generate", "--model", "model",   "--adapter",        "run/adapter",
                       "--prompt", "AAA",     "--quiet", "--max-new-tokens", "2"};
  check_refused(bench, generate, "expected --task with one of one, train");
  Words told = generate;
  told.insert(told.end(), {"--task", "one"});
  CHECK(bench.run(told).code == 0);
  told.back() = "ones";
  check_refused(bench, told, "did you mean one?");
  check_refused(bench, {"inspect", "--model", "model", "--adapter", "run/adapter", "--prompt", "AAA"}, "--task");
}

TEST_CASE("an ablation runs every variant with every seed, and goes on where it stopped") {
  const Bench bench;
  bench.chat.folder.write("one.train.json", letter_json(4));
  bench.chat.folder.write("one.test.json", letter_json(2));
  bench.chat.folder.write("two.train.json", letter_json(4));
  bench.chat.folder.write("two.test.json", letter_json(2));
  const Words words{"ablate",
                    "router",
                    "--model",
                    "model",
                    "--train",
                    "one.train.json",
                    "two.train.json",
                    "--test",
                    "one.test.json",
                    "two.test.json",
                    "--subspaces",
                    "2",
                    "--rank",
                    "2",
                    "--layers",
                    "1",
                    "--seeds",
                    "2",
                    "--epochs",
                    "1",
                    "--batch",
                    "4",
                    "--out",
                    "ablation",
                    "--quiet",
                    "--threads",
                    "1"};
  const auto first = bench.run(words);
  CAPTURE(first.err);
  REQUIRE(first.code == 0);
  const std::string table = bench.chat.folder.read("ablation/router.tsv");
  CHECK(std::count(table.begin(), table.end(), '\n') == 1 + 7 * 2);
  CHECK(table.starts_with("variant\tseed\ttrainable_parameters\tone.test\ttwo.test\tmean\t"));
  CHECK(std::filesystem::file_size(bench.chat.folder / "ablation/report.html") > 0);
  CHECK(contains(first.out, "[14/14] lora, seed 1"));

  // One cell is taken away: only that one is made again, to the same values.
  std::filesystem::remove_all(bench.chat.folder / "ablation/learned-1");
  const auto second = bench.run(words);
  CHECK(second.code == 0);
  CHECK(contains(second.out, "learned, seed 1"));
  CHECK_FALSE(contains(second.out, "manual, seed 0\n"));
  const auto without_times = [](std::string text) { return std::regex_replace(text, std::regex("\t[0-9]+\n"), "\n"); };
  CHECK(without_times(bench.chat.folder.read("ablation/router.tsv")) == without_times(table));

  Words other = words;
  other.insert(other.end(), {"--lr", "1e-3"});
  check_refused(bench, other, "holds another comparison (its `train` differs)");
  check_refused(bench, {"ablate", "ruoter"}, "did you mean router?");
}
