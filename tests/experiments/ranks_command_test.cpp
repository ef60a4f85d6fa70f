// `mpirun -n N csreft train` does what one process does.
#include <cmath>
#include <csignal>
#include <fstream>

#include <nlohmann/json.hpp>

#include "core/tensor/safetensors.h"
#include "experiments/training/metrics.h"
#include "tests/experiments/command_bench.h"
#include "tests/ranks.h"
#include "tests/source.h"

namespace {

using csreft::StepMetrics;

// Losses are means over some hundred tokens, in f32: another order of sums moves them by some 1e-7 in a step.
constexpr double tolerance = 1e-5;

csreft::ChildResult run_on(int ranks, const Bench& bench, const Words& words, csreft::ChildOptions options = {}) {
  Words all = mpirun(ranks);
  all.push_back(tested_program());
  all.insert(all.end(), words.begin(), words.end());
  options.folder = bench.chat.folder.path();
  return run_words(all, std::move(options));
}

// A programme on rank 0 and another on rank 1. `before`: what a shell does first, on each.
csreft::ChildResult run_two(const Bench& bench, const Words& first, const Words& second,
                            const std::string& before = ":", csreft::ChildOptions options = {}) {
  Words all = mpirun(1);
  const auto add = [&](const Words& words) {
    all.insert(all.end(), {"sh", "-c", before + "; exec \"$0\" \"$@\"", tested_program()});
    all.insert(all.end(), words.begin(), words.end());
  };
  add(first);
  all.insert(all.end(), {":", "-n", "1"});
  add(second);
  options.folder = bench.chat.folder.path();
  return run_words(all, std::move(options));
}

std::vector<StepMetrics> metrics_of(const Bench& bench, const std::string& run) {
  return csreft::read_metrics(bench.chat.folder / (run + "/metrics.jsonl"));
}

void check_alike(const std::vector<StepMetrics>& a, const std::vector<StepMetrics>& b) {
  REQUIRE(!a.empty());
  REQUIRE(a.size() == b.size());
  for (std::size_t s = 0; s < a.size(); ++s) {
    CAPTURE(s);
    CHECK(std::abs(a[s].loss - b[s].loss) < tolerance);
    CHECK(std::abs(a[s].cross_entropy - b[s].cross_entropy) < tolerance);
    CHECK(std::abs(a[s].penalty - b[s].penalty) < tolerance);
    CHECK(std::abs(a[s].gradient_norm - b[s].gradient_norm) < tolerance * std::max(1.0, a[s].gradient_norm));
    CHECK(a[s].tokens == b[s].tokens);
    REQUIRE(a[s].gates.size() == b[s].gates.size());
    for (const auto& [task, gates] : a[s].gates) {
      const auto& others = b[s].gates.at(task);
      REQUIRE(others.size() == gates.size());
      for (std::size_t i = 0; i < gates.size(); ++i) CHECK(std::abs(others[i] - gates[i]) < tolerance);
    }
  }
}

// What is written of validations, of scores after each task, and of scores: the numbers as above, all else the same.
void check_alike(const nlohmann::json& a, const nlohmann::json& b) {
  CAPTURE(a.dump());
  CAPTURE(b.dump());
  if (a.is_number() && b.is_number()) {
    CHECK(std::abs(a.get<double>() - b.get<double>()) < tolerance);
  } else if (a.is_structured() && a.type() == b.type() && a.size() == b.size()) {
    for (auto of_a = a.begin(), of_b = b.begin(); of_a != a.end(); ++of_a, ++of_b) check_alike(*of_a, *of_b);
  } else {
    CHECK(a == b);
  }
}

void check_same_records(const Bench& bench, const std::string& a, const std::string& b) {
  for (const char* file : {"/validation.jsonl", "/sequence.jsonl"}) {
    CAPTURE(file);
    REQUIRE(std::filesystem::exists(bench.chat.folder / (a + file)) ==
            std::filesystem::exists(bench.chat.folder / (b + file)));
    if (!std::filesystem::exists(bench.chat.folder / (a + file))) continue;
    std::istringstream of_a(bench.chat.folder.read(a + file)), of_b(bench.chat.folder.read(b + file));
    std::string line_of_a, line_of_b;
    while (std::getline(of_a, line_of_a)) {
      REQUIRE(std::getline(of_b, line_of_b));
      check_alike(nlohmann::json::parse(line_of_a), nlohmann::json::parse(line_of_b));
    }
    CHECK_FALSE(std::getline(of_b, line_of_b));
  }
  const auto summary = [&](const std::string& run) {
    return nlohmann::json::parse(bench.chat.folder.read(run + "/summary.json"));
  };
  for (const char* key : {"kept_step", "tasks", "untrained"}) {
    CAPTURE(key);
    check_alike(summary(a).value(key, nlohmann::json()), summary(b).value(key, nlohmann::json()));
  }
}

std::string errors_in(const std::string& text) {
  std::string lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) {
    if (line.starts_with("error: ")) lines += line + "\n";
  }
  return lines;
}

// Steps of five examples and of three.
Words of_method(const Bench& bench, const std::string& out, std::map<std::string, std::string> changes) {
  changes.insert({{"--out", out}, {"--batch", "5"}, {"--epochs", "2"}, {"--lr", "0.01"}, {"--seed", "4"}});
  return bench.train(changes);
}

// A run that goes on until it is stopped, and saves all the while.
Words endless(const Bench& bench) {
  return bench.train({{"--epochs", "100000"}, {"--save-every", "0.01s"}, {"--method", "csreft"}, {"--subspaces", "2"}});
}

long pid_of(const Bench& bench, int rank) {
  std::ifstream file(bench.chat.folder / ("pid-" + std::to_string(rank)));
  long pid = 0;
  file >> pid;
  return pid;
}
const std::string write_pid = "echo $$ > pid-$OMPI_COMM_WORLD_RANK";

// Trains on two ranks, of which one gets a signal once the run has been saved.
csreft::ChildResult run_until_signal(const Bench& bench, int rank, int signal) {
  bool sent = false;
  csreft::ChildOptions options;
  options.stop = [&] {
    if (!sent && std::filesystem::exists(bench.chat.folder / "run/state.safetensors")) {
      ::kill(static_cast<pid_t>(pid_of(bench, rank)), signal);
      sent = true;
    }
    return false;
  };
  const auto words = endless(bench);
  auto result = run_two(bench, words, words, write_pid, std::move(options));
  CHECK(sent);
  return result;
}

}  // namespace

TEST_CASE("two and four ranks train each method as one process does") {
  if (!can_start_ranks()) return;
  struct Case {
    std::string name;
    int ranks;
    std::map<std::string, std::string> flags;
  };
  // The router starts at random: from clusters of these prompts, of which some are alike, hidden units lie at the kink
  // of their relu, where rounding decides the gradient.
  const std::vector<Case> cases{
      {"csreft-mi",
       4,
       {{"--method", "csreft"},
        {"--subspaces", "2"},
        {"--gate", "softmax"},
        {"--penalty", "mi"},
        {"--lambda", "0.5"},
        {"--router-start", "random"}}},
      {"csreft-mi-in-passes",
       2,
       {{"--method", "csreft"},
        {"--subspaces", "2"},
        {"--gate", "top1"},
        {"--penalty", "mi"},
        {"--lambda", "0.5"},
        {"--tokens-per-pass", "60"},
        {"--router-start", "random"}}},
      {"csreft-gumbel",
       4,
       {{"--method", "csreft"}, {"--subspaces", "3"}, {"--gate", "gumbel"}, {"--router-start", "random"}}},
      {"csreft-by-token",
       2,
       {{"--method", "csreft"},
        {"--subspaces", "2"},
        {"--gate", "soft"},
        {"--gate-scope", "token"},
        {"--penalty", "l1"},
        {"--lambda", "0.1"}}},
      {"loreft-dropout", 2, {{"--method", "loreft"}, {"--positions", "f3+l2"}, {"--dropout", "0.3"}}},
      {"lora-dropout", 4, {{"--method", "lora"}, {"--dropout", "0.2"}}},
      {"full", 2, {{"--method", "full"}, {"--lr", "0.001"}}},
      {"best-of-validation",
       2,
       {{"--method", "loreft"},
        {"--validation", "test.json"},
        {"--validate-every", "1"},
        {"--keep", "best"},
        {"--test", "test.json"}}},
      {"in-sequence",
       2,
       {{"--method", "loreft"},
        {"--train", "train.json other.json"},
        {"--order", "sequence"},
        {"--test", "train.json other.json"}}},
      {"growing", 2, {{"--method", "growing"}, {"--train", "train.json other.json"}}},
      {"olora", 2, {{"--method", "olora"}, {"--train", "train.json other.json"}}},
  };
  const Bench bench;
  bench.chat.folder.write("other.json", letter_json(7));
  for (const Case& c : cases) {
    CAPTURE(c.name);
    auto words = of_method(bench, c.name + "-alone", c.flags);
    auto on_ranks = of_method(bench, c.name, c.flags);
    for (Words* all : {&words, &on_ranks}) {
      for (auto two = all->begin(); (two = std::ranges::find(*all, "train.json other.json")) != all->end();) {
        *two = "other.json";
        all->insert(two, "train.json");
      }
    }
    const auto alone = bench.run(words);
    CAPTURE(alone.err);
    REQUIRE(alone.code == 0);
    const auto result = run_on(c.ranks, bench, on_ranks);
    CAPTURE(result.errors);
    REQUIRE(result.code == 0);
    CHECK(result.output.find("trainable parameters") == result.output.rfind("trainable parameters"));
    check_alike(metrics_of(bench, c.name + "-alone"), metrics_of(bench, c.name));
    check_same_records(bench, c.name + "-alone", c.name);
  }
}

TEST_CASE("a run goes on with another number of ranks, and its state is whole") {
  if (!can_start_ranks()) return;
  const Bench bench;
  const auto first = [&](const std::string& out) {
    return of_method(bench, out,
                     {{"--method", "csreft"}, {"--subspaces", "2"}, {"--gate", "softmax"}, {"--steps", "2"}});
  };
  const auto more = [](const std::string& out) { return Words{"train", "--quiet", "--resume", out, "--steps", "4"}; };
  REQUIRE(bench.run(first("alone")).code == 0);
  REQUIRE(bench.run(more("alone")).code == 0);
  REQUIRE(run_on(4, bench, first("run")).code == 0);
  const auto names = csreft::SafeTensors::open(bench.chat.folder / "run/state.safetensors").names();
  CHECK(names == csreft::SafeTensors::open(bench.chat.folder / "alone/state.safetensors").names());
  const auto resumed = run_on(2, bench, more("run"));
  CAPTURE(resumed.errors);
  REQUIRE(resumed.code == 0);
  check_alike(metrics_of(bench, "alone"), metrics_of(bench, "run"));
  CHECK(metrics_of(bench, "run").size() == 4);
}

TEST_CASE("the same number of ranks gives the same bits") {
  if (!can_start_ranks()) return;
  const Bench bench;
  const std::map<std::string, std::string> flags{{"--method", "csreft"}, {"--subspaces", "2"}, {"--gate", "gumbel"}};
  REQUIRE(run_on(2, bench, of_method(bench, "whole", flags)).code == 0);
  REQUIRE(run_on(2, bench, of_method(bench, "again", flags)).code == 0);
  const auto adapter = [&](const std::string& run) {
    return bench.chat.folder.read(run + "/adapter/adapter.safetensors");
  };
  CHECK(adapter("whole") == adapter("again"));
}

TEST_CASE("a signal to any rank stops all after the same step") {
  if (!can_start_ranks()) return;
  for (const int rank : {0, 1}) {
    CAPTURE(rank);
    const Bench bench;
    const auto result = run_until_signal(bench, rank, SIGTERM);
    CAPTURE(result.errors);
    CHECK(contains(result.output, "interrupted; what was done is in: run\n"));
    CHECK(errors_in(result.errors).empty());
    const auto done = metrics_of(bench, "run").size();
    const auto resumed = bench.run({"train", "--quiet", "--resume", "run", "--steps", std::to_string(done + 1)});
    CAPTURE(resumed.err);
    REQUIRE(resumed.code == 0);
    CHECK(
        contains(resumed.out, "goes on after step " + std::to_string(done) + " of " + std::to_string(done + 1) + "\n"));
  }
}

TEST_CASE("a rank that is killed ends all, and the run goes on from what is on disk") {
  if (!can_start_ranks()) return;
  for (const int rank : {0, 1}) {
    CAPTURE(rank);
    const Bench bench;
    const auto result = run_until_signal(bench, rank, SIGKILL);
    CHECK(result.code != 0);
    const auto state = csreft::SafeTensors::open(bench.chat.folder / "run/state.safetensors");
    const int done = std::stoi(state.metadata().at("step"));
    const auto resumed = run_on(2, bench, {"train", "--quiet", "--resume", "run", "--steps", std::to_string(done + 2)});
    CAPTURE(resumed.errors);
    REQUIRE(resumed.code == 0);
    CHECK(metrics_of(bench, "run").size() == static_cast<std::size_t>(done) + 2);
  }
}

TEST_CASE("a rank that fails, or would train something else, ends all with one error") {
  if (!can_start_ranks()) return;
  const Bench bench;
  bench.chat.folder.write("other.json", letter_json(7));
  const auto words = bench.train();
  const auto check_ends = [&](const csreft::ChildResult& result, const std::string& part, bool has_begun = false) {
    CAPTURE(result.errors);
    CHECK(result.code == 2);
    const std::string lines = errors_in(result.errors);
    CHECK(std::ranges::count(lines, '\n') == 1);
    CHECK(contains(lines, part));
    CHECK(std::filesystem::exists(bench.chat.folder / "run/config.json") == has_begun);
    std::filesystem::remove_all(bench.chat.folder / "run");
  };
  check_ends(run_two(bench, words, bench.train({{"--train", "absent.json"}})), "absent.json");
  check_ends(run_two(bench, words, bench.train({{"--train", "other.json"}})), "rank 1 of 2 has other training data");
  check_ends(run_two(bench, words, bench.train({{"--seed", "9"}})), "rank 1 of 2 has other options of the training");
  check_ends(run_two(bench, words, bench.train({{"--rank", "1"}})), "rank 1 of 2 has other options of the method");
  check_ends(run_two(bench, words, bench.train({{"--validation", "test.json"}})),
             "rank 1 of 2 has other validation, tests or times of saving", /*has_begun=*/true);
  // A name that would be two lines.
  check_ends(run_on(2, bench, bench.train({{"--train", "ab\nsent.json"}})), "sent.json");
  // What all find wrong.
  check_ends(run_on(4, bench, bench.train({{"--train", "absent.json"}})), "absent.json");
  check_ends(run_on(2, bench, {"evaluate", "--test", "test.json"}), "evaluate is the work of one");
}

TEST_CASE("a loss that is not finite is one error of all ranks, with the last good adapter on disk") {
  if (!can_start_ranks()) return;
  const Bench bench;
  const auto result =
      run_on(2, bench, bench.train({{"--lr", "1e20"}, {"--clip", "0"}, {"--epochs", "50"}, {"--method", "noreft"}}));
  CAPTURE(result.errors);
  CHECK(result.code == 2);
  const std::string lines = errors_in(result.errors);
  CHECK(std::ranges::count(lines, '\n') == 1);
  CHECK(contains(lines, "not finite at step"));
  CHECK(std::filesystem::exists(bench.chat.folder / "run/adapter/adapter.safetensors"));
}
