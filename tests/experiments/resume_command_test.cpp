// A run that is stopped, killed or extended goes on where it was.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/tensor/random.h"
#include "core/tensor/safetensors.h"
#include "tests/experiments/command_bench.h"

namespace {

using nlohmann::json;

json read(const Bench& bench, const std::string& file) { return json::parse(bench.chat.folder.read(file)); }

Words long_run(const Bench& bench, const std::string& out) {
  return bench.train({{"--out", out},
                      {"--epochs", "100"},
                      {"--test", "test.json"},
                      {"--validation", "test.json"},
                      {"--validate-every", "7"},
                      {"--keep", "best"},
                      {"--save-every", "0.005s"}});
}

// Every file that a killed run has is whole.
void check_whole(const Bench& bench, const std::string& run) {
  const auto& folder = bench.chat.folder;
  for (const char* name : {"/config.json", "/summary.json", "/adapter/adapter.json"}) {
    if (std::filesystem::exists(folder / (run + name))) CHECK_NOTHROW(static_cast<void>(read(bench, run + name)));
  }
  for (const char* name : {"/state.safetensors", "/adapter/adapter.safetensors"}) {
    if (std::filesystem::exists(folder / (run + name))) {
      CHECK_NOTHROW(static_cast<void>(csreft::SafeTensors::open(folder / (run + name)).names()));
    }
  }
  const bool has_adapter = std::filesystem::exists(folder / (run + "/adapter"));
  CHECK(has_adapter == std::filesystem::exists(folder / (run + "/adapter/adapter.json")));
  CHECK(has_adapter == std::filesystem::exists(folder / (run + "/adapter/adapter.safetensors")));
}

}  // namespace

TEST_CASE("a run that is killed ten times at any moment ends as one that is not, bit for bit") {
  const Bench bench;
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(bench.run(long_run(bench, "whole")).code == 0);
  const double whole_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  csreft::Random random(/*seed=*/11, /*stream=*/0);
  Words words = long_run(bench, "run");
  int killed = 0, killed_with_state = 0;
  // From before the first file to after the last. One that ends by itself begins anew, and is then killed earlier.
  auto latest_ms = static_cast<std::uint64_t>(whole_ms / 2);
  for (int starts = 0; killed < 10 && starts < 100; ++starts) {
    const int after = 1 + static_cast<int>(random.below(std::max<std::uint64_t>(latest_ms, 2)));
    const auto result =
        run_program(words, {.folder = bench.chat.folder.path(), .signal = SIGKILL, .signal_after_ms = after});
    if (result.code != 128 + SIGKILL) {
      CAPTURE(result.err);
      REQUIRE(result.code == 0);
      std::filesystem::remove_all(bench.chat.folder / "run");
      words = long_run(bench, "run");
      latest_ms = latest_ms * 3 / 4;
      continue;
    }
    ++killed;
    if (std::filesystem::exists(bench.chat.folder / "run/state.safetensors")) ++killed_with_state;
    if (std::filesystem::exists(bench.chat.folder / "run/.csreft-run")) {
      check_whole(bench, "run");
      words = {"train", "--quiet", "--resume", "run"};
    }
  }
  CHECK(killed == 10);
  CHECK(killed_with_state > 0);
  const auto last = bench.run(words);
  CAPTURE(last.err);
  REQUIRE(last.code == 0);
  const auto whole = read(bench, "whole/summary.json"), run = read(bench, "run/summary.json");
  for (const char* key : {"train_loss", "validation", "kept_step", "tasks", "untrained"}) {
    CAPTURE(key);
    CHECK(run[key] == whole[key]);
  }
  for (const char* file : {"adapter/adapter.safetensors", "validation.jsonl"}) {
    CHECK(bench.chat.folder.read(std::string("run/") + file) == bench.chat.folder.read(std::string("whole/") + file));
  }
  for (const auto& [file, bytes] : snapshot(bench.chat.folder / "run")) CHECK(!contains(file, ".tmp-"));
}

TEST_CASE("a finished run that is resumed says so, changes nothing, and can be extended") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--test", "test.json"}})).code == 0);
  const Snapshot before = snapshot(bench.chat.folder.path());
  const auto idle = bench.run({"train", "--quiet", "--resume", "run"});
  CHECK(idle.code == 0);
  CHECK(contains(idle.out, "is finished: all 2 steps are done"));
  CHECK(snapshot(bench.chat.folder.path()) == before);

  const auto extended = bench.run({"train", "--quiet", "--resume", "run", "--epochs", "3", "--save-every", "1m"});
  CAPTURE(extended.err);
  REQUIRE(extended.code == 0);
  CHECK(contains(extended.out, "goes on after step 2 of 6\n"));
  CHECK(read(bench, "run/summary.json")["steps"] == 6);
  CHECK(read(bench, "run/config.json")["train"]["epochs"] == 3);
  CHECK(contains(bench.run({"train", "--quiet", "--resume", "run"}).out, "all 6 steps"));
  // The rate of step 3 is that of 6 steps, not of the 2 that were planned first.
  REQUIRE(bench.run(bench.train({{"--out", "other"}, {"--epochs", "3"}})).code == 0);
  const auto rate = [&](const std::string& run) {
    std::istringstream lines(bench.chat.folder.read(run + "/metrics.jsonl"));
    std::string line;
    for (int i = 0; i < 3; ++i) std::getline(lines, line);
    return json::parse(line)["lr"].get<double>();
  };
  CHECK(rate("run") == rate("other"));

  check_refused(bench, {"train", "--resume", "run", "--epochs", "1"}, "has done 6 steps");
  check_refused(bench, {"train", "--resume", "run", "--rank", "3"}, "expected no --rank beside it");
  check_refused(bench, {"train", "--resume", "run", "--force"}, "expected no --force beside it");
}

TEST_CASE("--steps extends a run, too") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--epochs", "4"}, {"--steps", "3"}})).code == 0);
  REQUIRE(bench.run({"train", "--quiet", "--resume", "run", "--steps", "5"}).code == 0);
  CHECK(read(bench, "run/summary.json")["steps"] == 5);
}

TEST_CASE("an unfinished run is not replaced by mistake, and says how much of it is lost") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--steps", "1"}})).code == 0);
  // As a run that was killed after a second step that it had not saved.
  std::filesystem::remove(bench.chat.folder / "run/summary.json");
  const std::string line = bench.chat.folder.read("run/metrics.jsonl");
  bench.chat.folder.write("run/metrics.jsonl", line + line);
  check_refused(bench, bench.train(), "unfinished run: expected --resume run to go on with it, --force to replace it");
  const auto resumed = bench.run({"train", "--quiet", "--resume", "run", "--steps", "2"});
  REQUIRE(resumed.code == 0);
  CHECK(contains(resumed.out, "goes on after step 1 of 2; 1 step since the last save is lost and done again"));
}

TEST_CASE("Ctrl-C saves and stops") {
  const Bench bench;
  const auto words = bench.train({{"--epochs", "4000"}, {"--save-every", "0"}});
  const auto stopped =
      run_program(words, {.folder = bench.chat.folder.path(), .signal = SIGINT, .signal_after_ms = 2000});
  CAPTURE(stopped.err);
  REQUIRE(stopped.code == 130);
  CHECK(contains(stopped.out, "to go on: ./run train --resume run"));
  const auto summary = read(bench, "run/summary.json");
  CHECK(summary["interrupted"] == true);
  const auto steps = summary["steps"].get<std::int64_t>();
  const auto resumed = bench.run({"train", "--quiet", "--resume", "run", "--steps", std::to_string(steps + 1)});
  CHECK(contains(resumed.out, fmt::format("goes on after step {} of {}\n", steps, steps + 1)));
}

TEST_CASE("the scores of a finished run stay while it is extended, until there are others") {
  const Bench bench;
  bench.chat.folder.write("another.json", letter_json(3));
  auto words =
      bench.train({{"--method", "csreft"}, {"--subspaces", "3"}, {"--test", "test.json"}, {"--save-every", "0"}});
  words.insert(words.end(), {"--shared", "1", "--test", "another.json"});
  REQUIRE(bench.run(words).code == 0);
  const auto finished = read(bench, "run/summary.json");
  REQUIRE(finished["scored_step"] == 2);
  const Words extend{"train", "--quiet", "--resume", "run", "--epochs", "4000"};
  const auto check_kept = [&] {
    const auto summary = read(bench, "run/summary.json");
    CHECK(summary["interrupted"] == true);
    for (const char* key : {"tasks", "untrained", "gates", "chosen", "scored_step"}) {
      CAPTURE(key);
      CHECK(summary[key] == finished[key]);
    }
    return summary["steps"].get<std::int64_t>();
  };
  // Killed, it has what it had; stopped, the steps since then as well.
  const auto killed =
      run_program(extend, {.folder = bench.chat.folder.path(), .signal = SIGKILL, .signal_after_ms = 2000});
  REQUIRE(killed.code == 128 + SIGKILL);
  CHECK(check_kept() == 2);
  const auto stopped =
      run_program(extend, {.folder = bench.chat.folder.path(), .signal = SIGTERM, .signal_after_ms = 2000});
  CAPTURE(stopped.err);
  REQUIRE(stopped.code == 130);
  CHECK(contains(stopped.out, "the scores of step 2 stay: no examples were scored after step "));
  // In the order of the command, not of the names.
  CHECK(stopped.out.find("untrained    test") < stopped.out.find("untrained    another"));
  const auto steps = check_kept();
  CHECK(steps > 2);
  CHECK(contains(bench.chat.folder.read("run/report.html"),
                 fmt::format("<dt>scores of csreft</dt><dd>after 2 of the {} steps that were done</dd>", steps)));

  const auto ended = bench.run({"train", "--quiet", "--resume", "run", "--steps", std::to_string(steps + 1)});
  CAPTURE(ended.err);
  REQUIRE(ended.code == 0);
  CHECK(read(bench, "run/summary.json")["scored_step"] == steps + 1);
  CHECK_FALSE(contains(bench.chat.folder.read("run/report.html"), "scores of csreft"));
}

TEST_CASE("a run goes on elsewhere, and says so on the screen and in config.json") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--steps", "1"}})).code == 0);
  json config = read(bench, "run/config.json");
  config.update({{"device", "cuda:0"}, {"hardware", "NVIDIA H100"}});
  bench.chat.folder.write("run/config.json", config.dump());
  const auto resumed = bench.run({"train", "--quiet", "--resume", "run", "--steps", "2", "--device", "cpu"});
  CAPTURE(resumed.err);
  REQUIRE(resumed.code == 0);
  CHECK(contains(resumed.out, "where the run had NVIDIA H100, last bits may differ"));
  config = read(bench, "run/config.json");
  CHECK(config["device"] == "cpu");
  REQUIRE(config["earlier_parts"].size() == 1);
  CHECK(config["earlier_parts"][0]["device"] == "cuda:0");
  CHECK(config["earlier_parts"][0]["steps"] == 1);
}

TEST_CASE("a run goes on with its own model alone, and one of an earlier version with what that knows of it") {
  const Bench bench;
  const Words resume{"train", "--quiet", "--resume", "run", "--steps", "2"};
  REQUIRE(bench.run(bench.train({{"--steps", "1"}})).code == 0);
  // Another model in the last row of one matrix.
  auto weights = bench.chat.weights;
  for (auto& [name, value] : weights) {
    if (name != "model.layers.1.mlp.up_proj.weight") continue;
    value = value.clone();
    value.span<float>().back() += 1.0F;
  }
  bench.chat.write_weights(weights);
  check_refused(bench, resume, "is not the model that the run in run began with");
  bench.chat.write_weights(bench.chat.weights);

  const auto own = bench.chat.load().llama.fingerprint();
  const auto with_hash = [&](const std::string& hash) {
    json config = read(bench, "run/config.json");
    config["model"]["hash"] = hash;
    bench.chat.folder.write("run/config.json", config.dump());
  };
  with_hash("0123456789abcdef");
  check_refused(bench, resume, "is not the model that the run in run began with");
  with_hash(fmt::format("{:016x}", own.first_rows));
  const auto resumed = bench.run(resume);
  CAPTURE(resumed.err);
  REQUIRE(resumed.code == 0);
  CHECK(contains(resumed.out, "a hash of the first row of each matrix alone"));
  CHECK(read(bench, "run/config.json")["model"]["hash"] == own.text());
  CHECK_FALSE(contains(bench.run({"train", "--quiet", "--resume", "run", "--epochs", "2"}).out, "first row"));
}

TEST_CASE("state files that are not whole are refused") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--steps", "1"}})).code == 0);
  const Words resume{"train", "--quiet", "--resume", "run", "--epochs", "2"};
  const auto& folder = bench.chat.folder;
  const std::string state = folder.read("run/state.safetensors"), metrics = folder.read("run/metrics.jsonl");
  folder.write("run/state.safetensors", state.substr(0, state.size() / 2));
  check_refused(bench, resume, "state.safetensors");
  folder.write("run/state.safetensors", state);
  const std::string config = folder.read("run/config.json");
  folder.write("run/config.json", "{");
  check_refused(bench, resume, "config.json");
  folder.write("run/config.json", config);
  CHECK(bench.run(resume).code == 0);
}
