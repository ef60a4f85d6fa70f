// What the command line makes of routers: presets, gates that need a task, and the comparison of them all.
#include <algorithm>
#include <array>
#include <regex>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/cpu/packed_matrix.h"
#include "tests/environment.h"
#include "tests/experiments/comparison_bench.h"

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
  CHECK(custom["preset"] == "specialised, changed: lambda, penalty");
  CHECK(custom["options"]["lambda"] == 0.0);
  CHECK(custom["options"]["router_start"] == "clusters");
  const auto l1 = summary_of({{"--out", "d"}, {"--penalty", "l1"}, {"--lambda", "0.1"}});
  CHECK(l1["options"]["gate"] == "soft");
  const auto with_gate = [&](const std::string& flag, const std::string& value, const std::string& gate) {
    return bench.train({{"--method", "csreft"}, {"--gate", gate}, {"--out", "e"}, {flag, value}});
  };
  // A loop over gates may pass the same flags to all: what asks no router says that it has no use for them.
  const auto noted = bench.run(with_gate("--router-input", "hidden", "ones"));
  CHECK(noted.code == 0);
  CHECK(contains(noted.out, "note: --router-input has no effect on method csreft as it is chosen here\n"));
  auto refused = with_gate("--penalty", "mi", "soft");
  refused[static_cast<std::size_t>(std::ranges::find(refused, "e") - refused.begin())] = "f";
  check_refused(bench, refused, "penalty mi");
}

TEST_CASE("what a preset decides that nobody asked for is said, and gates by token get a router that reads tokens") {
  const Bench bench;
  const auto train = [&](std::map<std::string, std::string> changes) {
    changes.insert({{"--method", "csreft"}, {"--subspaces", "2"}});
    const auto result = bench.run(bench.train(changes));
    CAPTURE(result.err);
    REQUIRE(result.code == 0);
    return result.out;
  };
  const auto summary = [&](const std::string& run) {
    return nlohmann::json::parse(bench.chat.folder.read(run + "/summary.json"));
  };
  CHECK(contains(train({{"--gate", "hard"}, {"--out", "a"}}),
                 "note: these flags suit preset paper, which decides the rest: --edit loreft --lambda 0 --penalty none "
                 "--router-input prompt_mean --router-lr 1 --no-router-norm --router-start random\n"));
  CHECK(summary("a")["preset"] == "paper, changed: gate");
  // A gate that asks no router leaves the default preset its formula.
  CHECK_FALSE(contains(train({{"--gate", "onehot"}, {"--out", "b"}}), "these flags suit preset"));
  CHECK(summary("b")["preset"] == "specialised, changed: gate");
  CHECK(contains(train({{"--gate", "hard"}, {"--gate-scope", "token"}, {"--out", "c"}}),
                 "--router-start random; but they need --router-input hidden\n"));
  CHECK(summary("c")["preset"] == "paper, changed: gate, router_input");
  CHECK_FALSE(contains(train({{"--gate-scope", "token"}, {"--out", "d"}}), "suit preset"));
  const auto refused = bench.train({{"--method", "csreft"},
                                    {"--subspaces", "2"},
                                    {"--gate", "hard"},
                                    {"--gate-scope", "token"},
                                    {"--router-input", "prompt_mean"},
                                    {"--out", "e"}});
  check_refused(bench, refused, "expected --router-input hidden beside --gate-scope token");
  CHECK(bench.run(refused).out.empty());
}

TEST_CASE("an adapter whose gates are decided by the task generates only when it is told which") {
  const Bench bench;
  bench.chat.folder.write("one.train.json", letter_json(4));
  auto words = bench.train({{"--method", "csreft"}, {"--gate", "onehot"}, {"--train", "one.train.json"}});
  words.insert(words.end(), {"--train", "train.json"});
  const auto trained = bench.run(words);
  REQUIRE(trained.code == 0);
  CHECK(contains(trained.out, "note: gate onehot opens a subspace for each of 2 tasks: the other 2 of 4 never open"));
  const Words generate{"generate", "--model", "model",   "--adapter",        "run/adapter",
                       "--prompt", "AAA",     "--quiet", "--max-new-tokens", "2"};
  check_refused(bench, generate, "expected --task with one of one, train");
  Words told = generate;
  told.insert(told.end(), {"--task", "one"});
  CHECK(bench.run(told).code == 0);
  told.back() = "ones";
  check_refused(bench, told, "did you mean one?");
  check_refused(bench, {"inspect", "--model", "model", "--adapter", "run/adapter", "--prompt", "AAA"}, "--task");

  REQUIRE(bench.run(bench.train({{"--out", "other"}})).code == 0);
  told = generate;
  *std::ranges::find(told, "run/adapter") = "other/adapter";
  told.insert(told.end(), {"--task", "one"});
  check_refused(bench, told, "--task has no effect");
}

TEST_CASE("a learned router and a partition by hand are used together, in either order, and row by row") {
  const Bench bench;
  bench.chat.folder.write("one.train.json", letter_json(4));
  bench.chat.folder.write("one.test.json", letter_json(2));
  const auto train = [&](const std::string& gate, const std::string& out) {
    auto words = bench.train({{"--method", "csreft"}, {"--gate", gate}, {"--train", "one.train.json"}, {"--out", out}});
    words.insert(words.end(), {"--train", "train.json"});
    REQUIRE(bench.run(words).code == 0);
  };
  train("top1", "learned");
  train("onehot", "by-hand");
  const auto with = [&](const std::string& command, Words words) {
    words.insert(words.begin(), {command, "--model", "model", "--quiet", "--threads", "1"});
    const auto result = bench.run(words);
    CAPTURE(words);
    CAPTURE(result.err);
    CHECK(result.code == 0);
    return result.out;
  };
  const std::string learned = "p=learned/adapter", by_hand = "o=by-hand/adapter";
  for (const auto& [first, second] : {std::pair{learned, by_hand}, {by_hand, learned}}) {
    with("evaluate", {"--adapter", first, "--adapter", second, "--test", "one.test.json"});
    with("inspect", {"--adapter", first, "--adapter", second, "--task", "one", "--prompt", "AAA"});
  }
  bench.chat.folder.write("rows.json", R"([{"instruction": "AAA", "adapter": "o"}, {"instruction": "BBB"}])");
  const Words rows{"--adapter", learned,     "--adapter",        by_hand, "--use", "p",
                   "--data",    "rows.json", "--max-new-tokens", "2",     "--out", "answers.json"};
  Words told = rows;
  told.insert(told.end(), {"--task", "train"});
  with("generate", told);
  Words untold{"generate", "--model", "model", "--quiet"};
  untold.insert(untold.end(), rows.begin(), rows.end());
  untold.back() = "others.json";
  check_refused(bench, untold, "adapter o: gate onehot is decided by the task: expected --task with one of one, train");
  untold.insert(untold.end(), {"--task", "trian"});
  check_refused(bench, untold, "unknown task 'trian' (did you mean train?)");
}

TEST_CASE("a run goes on with the options that it was started with, whatever the defaults are by then") {
  const Bench bench;
  auto words = bench.train({{"--method", "csreft"}, {"--subspaces", "2"}, {"--steps", "1"}});
  REQUIRE(bench.run(words).code == 0);
  auto config = nlohmann::json::parse(bench.chat.folder.read("run/config.json"));
  CHECK(config["method"]["gate"] == "top1");
  // As if the default had been another one then.
  config["method"]["gate"] = "softmax";
  config["method"]["router_lr"] = 0.5;
  bench.chat.folder.write("run/config.json", config.dump());
  const auto resumed = bench.run({"train", "--quiet", "--resume", "run", "--epochs", "2"});
  CAPTURE(resumed.err);
  REQUIRE(resumed.code == 0);
  const auto summary = nlohmann::json::parse(bench.chat.folder.read("run/summary.json"));
  CHECK(summary["options"]["gate"] == "softmax");
  CHECK(summary["preset"] == "specialised, changed: gate, router_lr");
}

TEST_CASE("a run does not go on with other training data, or without the state that it kept") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--epochs", "2"}})).code == 0);
  const std::string data = bench.chat.folder.read("train.json");
  bench.chat.folder.write("train.json", letter_json(5));
  check_refused(bench, {"train", "--resume", "run"}, "the training data have changed: 5 examples of ");
  bench.chat.folder.write("train.json", data);
  REQUIRE(bench.run({"train", "--quiet", "--resume", "run"}).code == 0);
  std::filesystem::remove(bench.chat.folder / "run/state.safetensors");
  check_refused(bench, {"train", "--resume", "run"}, "no state.safetensors");
}

namespace {

// Two tasks in the bench's folder, and the command that compares on them.
Words comparison(const Bench& bench) {
  for (const char* task : {"one", "two"}) {
    bench.chat.folder.write(std::string(task) + ".train.json", letter_json(4));
    bench.chat.folder.write(std::string(task) + ".test.json", letter_json(2));
  }
  return {"ablate",
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
          "1",
          "--rates",
          ""};
}

}  // namespace

TEST_CASE("an ablation runs every variant with every seed, and goes on where it stopped") {
  const Bench bench;
  const Words words = comparison(bench);
  const auto first = bench.run(words);
  CAPTURE(first.err);
  REQUIRE(first.code == 0);
  const std::string table = bench.chat.folder.read("ablation/router.tsv");
  CHECK(std::count(table.begin(), table.end(), '\n') == 1 + 7 * 2);
  CHECK(table.starts_with("variant\tseed\ttrainable_parameters\tone.test\ttwo.test\tmean_accuracy\t"));
  const Table cells = read_table(bench, "ablation/router.tsv");
  CHECK(std::filesystem::file_size(bench.chat.folder / "ablation/report.html") > 0);
  CHECK(contains(first.out, "[15/15] lora, seed 1"));

  // One cell is taken away: only that one is made again, to the same values.
  std::filesystem::remove_all(bench.chat.folder / "ablation/learned-1");
  const auto second = bench.run(words);
  CHECK(second.code == 0);
  CHECK(contains(second.out, "learned, seed 1"));
  CHECK_FALSE(contains(second.out, "manual, seed 0\n"));
  const Words times{"training_seconds", "tokens_per_second", "milliseconds_a_step"};
  CHECK(without(read_table(bench, "ablation/router.tsv"), times) == without(cells, times));

  // One was stopped after its last step: it is scored, not trained again.
  auto summary = nlohmann::json::parse(bench.chat.folder.read("ablation/manual-1/summary.json"));
  const auto scores = summary["tasks"];
  const std::string metrics = bench.chat.folder.read("ablation/manual-1/metrics.jsonl");
  summary["interrupted"] = true;
  summary["tasks"] = nlohmann::json::object();
  bench.chat.folder.write("ablation/manual-1/summary.json", summary.dump());
  CHECK(bench.run(words).code == 0);
  CHECK(nlohmann::json::parse(bench.chat.folder.read("ablation/manual-1/summary.json"))["tasks"] == scores);
  CHECK(bench.chat.folder.read("ablation/manual-1/metrics.jsonl") == metrics);

  Words other = words;
  other.insert(other.end(), {"--lr", "1e-3"});
  check_refused(bench, other, "ablation holds another comparison (training/lr: 0.004 there, 0.001 here)");
  other = words;
  other.insert(other.end(), {"--tests", "1"});
  check_refused(bench, other, "holds another comparison (tests: 0 there, 1 here)");
  other = words;
  if (csreft::cpu::has_bf16_products()) {
    other.insert(other.end(), {"--weights", "bf16"});
    check_refused(bench, other, "weights: \"f32\" there, \"bf16\" here");
  }
  // Whatever is wrong is found before anything is written.
  for (const auto& [flag, value, part] : {std::array{"--lr", "0", "--lr 0"},
                                          {"--variants", "learned,learned", "named twice"},
                                          {"--variants", "learnd", "did you mean learned?"},
                                          {"--subspaces", "1", "--subspaces of at least 2"},
                                          {"--examples", "1,2,3", "3 numbers for 2 tasks"},
                                          {"--examples", "some", "not understood"}}) {
    Words wrong = words;
    std::ranges::replace(wrong, "ablation", "elsewhere");
    if (std::string(flag) == "--subspaces") {
      *(std::ranges::find(wrong, flag) + 1) = value;
    } else {
      wrong.insert(wrong.end(), {flag, value});
    }
    check_refused(bench, wrong, part);
  }
  check_refused(bench, {"ablate", "ruoter"}, "did you mean router?");
}

TEST_CASE("several commands fill one comparison: its tables have all cells of the folder") {
  const Bench bench;
  const Words words = comparison(bench);
  const auto with = [&](Words more) {
    more.insert(more.begin(), words.begin(), words.end());
    const auto result = bench.run(more);
    CAPTURE(result.err);
    REQUIRE(result.code == 0);
    return result.out;
  };
  const auto lines = [&](const std::string& file) {
    const std::string table = bench.chat.folder.read("ablation/" + file);
    std::vector<std::string> names;
    for (std::size_t begin = 0; begin < table.size(); begin = table.find('\n', begin) + 1) {
      names.push_back(table.substr(begin, table.find('\t', table.find('\t', begin) + 1) - begin));
    }
    return names;
  };
  with({"--variants", "loreft"});
  CHECK(lines("router.tsv") == std::vector<std::string>{"variant\tseed", "loreft\t0", "loreft\t1"});
  const std::string out = with({"--variants", "learned"});
  CHECK(contains(out, "[3/3] learned, seed 1"));
  // By seed, and in the order of the ablation, not of the commands.
  CHECK(lines("router.tsv") ==
        std::vector<std::string>{"variant\tseed", "learned\t0", "loreft\t0", "learned\t1", "loreft\t1"});
  CHECK(contains(out, "\nloreft  "));
  const auto summary = lines("router-summary.tsv");
  CHECK(std::ranges::count(summary, "loreft\tmean_accuracy") == 1);
  CHECK(std::ranges::count(summary, "learned\tmean_accuracy") == 1);
  CHECK(contains(bench.chat.folder.read("ablation/report.html"), "loreft"));
}

TEST_CASE("a run says that it replaces another, and leaves nothing of it") {
  const Bench bench;
  const auto first = bench.run(bench.train({{"--epochs", "2"}, {"--test", "test.json"}}));
  REQUIRE(first.code == 0);
  CHECK_FALSE(contains(first.out, "replaces"));
  bench.chat.folder.write("run/adapter/of-the-first", "");
  auto words = bench.train();
  words.push_back("--force");
  const auto second = bench.run(words);
  REQUIRE(second.code == 0);
  CHECK(contains(second.out, "note: this replaces the run that was in run\n"));
  CHECK_FALSE(std::filesystem::exists(bench.chat.folder / "run/adapter/of-the-first"));
  const auto metrics = bench.chat.folder.read("run/metrics.jsonl");
  CHECK(std::count(metrics.begin(), metrics.end(), '\n') == 2);
}

TEST_CASE("a flag that departs from the named preset is said in one line") {
  const Bench bench;
  const auto train = [&](std::map<std::string, std::string> changes) {
    changes.insert({{"--method", "csreft"}, {"--subspaces", "2"}, {"--preset", "paper"}});
    const auto result = bench.run(bench.train(changes));
    CAPTURE(result.err);
    REQUIRE(result.code == 0);
    return result.out;
  };
  CHECK_FALSE(contains(train({}), "not as preset"));
  CHECK(contains(train({{"--gate", "top1"}, {"--out", "a"}}),
                 "note: --gate of this run is not as preset paper has it\n"));
  CHECK(contains(train({{"--penalty", "l1"}, {"--lambda", "0.1"}, {"--out", "b"}}),
                 "note: --lambda, --penalty of this run are not as preset paper has them"));
  CHECK_FALSE(contains(train({{"--gate", "soft"}, {"--out", "c"}}), "not as preset"));  // given, and the preset's
}

TEST_CASE("a run without gnuplot ends well, with a report that says it has no pictures") {
  const Bench bench;
  const EnvironmentVariable path("PATH", "/nowhere");
  const auto result = bench.run(bench.train({{"--test", "test.json"}}));
  CAPTURE(result.err);
  CHECK(result.code == 0);
  CHECK(contains(result.out, "note: no gnuplot on this machine: the report has no pictures"));
  const std::string page = bench.chat.folder.read("run/report.html");
  CHECK(contains(page, "No pictures: "));
  CHECK(contains(page, "<th>accuracy (%)</th>"));
}
