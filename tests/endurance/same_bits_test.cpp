// What gives the same bits, and what the same numbers but for rounding: the table of experiments/SAME_BITS.md.
#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstring>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "core/base/atomic_file.h"
#include "core/base/child_process.h"
#include "core/tensor/safetensors.h"
#include "experiments/training/metrics.h"
#include "tests/endurance/killed_commands.h"
#include "tests/ranks.h"
#include "tests/source.h"
#include "tests/temporary_folder.h"

namespace fs = std::filesystem;

namespace {

using Words = KilledCommand::Words;

constexpr double rounding = 1e-5;  // of losses around 5, and of an adapter's values around 1: f32 in another order
constexpr const char* same_bits = "the same bits";
constexpr const char* same_numbers = "equal to 1e-5";

// What two starts have made: the loss of each step, and the adapter's values.
struct Made {
  std::vector<double> losses, adapter;
};

// How far two are from each other; 0: the same bits.
struct Distance {
  double losses = 0.0, adapter = 0.0;
};

Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Another value for a flag that the words have.
Words with(Words words, const std::string& flag, const std::string& value) {
  const auto found = std::ranges::find(words, flag);
  if (found == words.end()) return joined(words, {flag, value});
  *(found + 1) = value;
  return words;
}

Made read_made(const fs::path& run) {
  Made made;
  for (const auto& step : csreft::read_metrics(run / "metrics.jsonl")) made.losses.push_back(step.loss);
  for (const auto& entry : fs::directory_iterator(run / "adapter")) {
    if (entry.path().extension() != ".safetensors") continue;
    const auto tensors = csreft::SafeTensors::open(entry.path());
    for (const auto& name : tensors.names()) {
      const auto values = tensors.get(name).to(csreft::DType::f64);
      made.adapter.insert(made.adapter.end(), values.span<double>().begin(), values.span<double>().end());
    }
  }
  REQUIRE(!made.adapter.empty());
  return made;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE(std::isfinite(a[i]));
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

void run(const Words& words, const fs::path& folder) {
  const auto result = csreft::run_child(words, {.folder = folder, .errors_apart = true});
  CAPTURE(result.errors);
  REQUIRE(result.code == 0);
}

// One start that trains, from a folder of its own.
Made train(const Words& words) {
  const TemporaryFolder folder;
  small_work(folder.path());
  run(words, folder.path());
  return read_made(folder / "made");
}

// Killed as soon as there is a state to go on from, then resumed with these flags.
Made train_in_two_parts(const Words& words, const Words& more) {
  const TemporaryFolder folder;
  small_work(folder.path());
  const auto killed = csreft::run_child(
      words, {.folder = folder.path(), .stop = [&] { return fs::exists(folder / "made/state.safetensors"); }});
  CAPTURE(killed.output);
  REQUIRE((killed.code == 128 + SIGKILL || killed.code == 0));  // 0: it was quicker
  run(joined({tested_program(), "train", "--quiet", "--resume", "made"}, more), folder.path());
  return read_made(folder / "made");
}

Made ablate(const Words& more) {
  const TemporaryFolder folder;
  small_work(folder.path());
  run(small_ablation(more), folder.path());
  Made all;
  for (const char* cell : {"learned-0", "learned-1", "loreft-0", "loreft-1"}) {
    const Made made = read_made(folder / "made" / cell);
    all.losses.insert(all.losses.end(), made.losses.begin(), made.losses.end());
    all.adapter.insert(all.adapter.end(), made.adapter.begin(), made.adapter.end());
  }
  return all;
}

// The trainings that pairs are measured with. The first has a router that starts at clusters of the prompts: one of
// them is then exactly where a ReLU has no derivative, and rounding decides about its gradient.
std::vector<Words> trainings() {
  const auto of = [](const Words& method) { return with(small_training(method), "--epochs", "3"); };
  return {of({"--method", "csreft", "--subspaces", "2", "--router-hidden", "4", "--router-start", "clusters"}),
          of({"--method", "csreft", "--subspaces", "2", "--router-hidden", "4", "--router-start", "random", "--joint",
              "--gate", "softmax", "--penalty", "mi", "--lambda", "0.3"}),
          of({"--method", "loreft"}), of({"--method", "lora"})};
}

struct Pair {
  const char* what;
  const char* losses;
  const char* adapter;
  std::function<Made(const Words&)> other;  // compared with one start on one thread
};

std::vector<Pair> pairs() {
  return {
      {"the same command twice", same_bits, same_bits, [](const Words& words) { return train(words); }},
      {"never stopped, or killed and resumed", same_bits, same_bits,
       [](const Words& words) { return train_in_two_parts(words, {}); }},
      {"1 thread, or 2 (`--threads`)", same_numbers, same_numbers,
       [](const Words& words) { return train(with(words, "--threads", "2")); }},
      {"1 thread, or resumed on 2", same_numbers, same_numbers,
       [](const Words& words) {
         return train_in_two_parts(words, {"--threads", "2"});
       }},
      {"a step's examples in one pass, or in four (`--tokens-per-pass`)", same_numbers, same_numbers,
       [](const Words& words) { return train(with(words, "--tokens-per-pass", "1")); }},
  };
}

// The same on two ranks.
constexpr const char* on_two_ranks = "one process, or two ranks (`mpirun -n 2`)";
Made train_on_two_ranks(const Words& words) { return train(joined(mpirun(2), words)); }

std::string line(const std::string& what, const std::string& losses, const std::string& adapter) {
  return fmt::format("| {} | {} | {} |\n", what, losses, adapter);
}

std::string said(double distance) { return distance == 0.0 ? same_bits : fmt::format("to {:.1e}", distance); }

// Holds where the claim does: bits may be the same where only numbers are promised.
void check_claim(const char* claim, double distance) {
  CAPTURE(claim);
  CHECK(distance <= (std::strcmp(claim, same_bits) == 0 ? 0.0 : rounding));
}

}  // namespace

TEST_CASE("what has the same bits, and what the same numbers, is as experiments/SAME_BITS.md says") {
  std::string claimed = line("two trainings", "losses", "adapter") + line("---", "---", "---"), measured = claimed;
  const auto add = [&](const char* what, const char* losses, const char* adapter, const Distance& distance) {
    CAPTURE(what);
    check_claim(losses, distance.losses);
    check_claim(adapter, distance.adapter);
    claimed += line(what, losses, adapter);
    measured += line(what, said(distance.losses), said(distance.adapter));
  };
  std::vector<Made> alone;
  for (const auto& words : trainings()) alone.push_back(train(words));
  const auto compare = [&](const Pair& pair) {
    Distance largest;
    for (std::size_t i = pair.losses == same_bits ? 0 : 1; i < alone.size(); ++i) {
      const Made made = pair.other(trainings()[i]);
      largest.losses = std::max(largest.losses, largest_difference(made.losses, alone[i].losses));
      largest.adapter = std::max(largest.adapter, largest_difference(made.adapter, alone[i].adapter));
    }
    add(pair.what, pair.losses, pair.adapter, largest);
  };
  for (const auto& pair : pairs()) compare(pair);
  if (can_start_ranks()) {
    compare({on_two_ranks, same_numbers, same_numbers, train_on_two_ranks});
  } else {
    claimed += line(on_two_ranks, same_numbers, same_numbers);
  }
  const Made one = ablate({}), two = ablate({"--jobs", "2"});
  add("the cells of a comparison by one process, or by two (`--jobs 2`)", same_bits, same_bits,
      {largest_difference(two.losses, one.losses), largest_difference(two.adapter, one.adapter)});
  MESSAGE("as measured here:\n" << measured);
  if (has_whole_source()) {
    const std::string page = csreft::read_text_file(source("experiments/SAME_BITS.md"));
    INFO("expected in the page:\n" << claimed);
    CHECK(page.find("\n" + claimed) != std::string::npos);
  }
}
