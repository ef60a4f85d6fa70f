// `soak`, as a user runs it, and how it judges.
#include <algorithm>

#include <doctest/doctest.h>

#include "experiments/measure/soak.h"
#include "tests/experiments/comparison_bench.h"

namespace {

std::vector<csreft::SoakSample> level_samples() {
  std::vector<csreft::SoakSample> samples;
  for (int i = 1; i <= 20; ++i) {
    samples.push_back({.step = 10 * i,
                       .seconds = 0.1 * i,
                       .steps_per_second = 100.0,
                       .steps_per_cpu_second = 100.0,
                       .resident_bytes = 50'000'000,
                       .orthonormality_error = 1e-6,
                       .loss = 1.0});
  }
  return samples;
}

}  // namespace

TEST_CASE("soak finds memory that grows, steps that slow down and matrices that drift") {
  CHECK(csreft::judge(level_samples(), true).holds());
  // What a start takes is no growth.
  auto samples = level_samples();
  for (std::size_t i = 0; i < 4; ++i) samples[i].resident_bytes = 30'000'000;
  CHECK(csreft::judge(samples, true).holds());

  samples = level_samples();
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i].resident_bytes += 60'000 * static_cast<int>(i);
  CHECK_FALSE(csreft::judge(samples, true).is_memory_level);
  samples = level_samples();
  for (std::size_t i = 10; i < samples.size(); ++i) samples[i].steps_per_cpu_second = 70.0;
  CHECK_FALSE(csreft::judge(samples, true).is_speed_level);
  samples = level_samples();
  samples.back().orthonormality_error = 2e-5;
  CHECK_FALSE(csreft::judge(samples, true).is_orthonormal);
  CHECK(csreft::judge(samples, false).holds());
}

TEST_CASE("a short soak with every optimizer that keeps R orthonormal has a table, and finds R orthonormal") {
  const Bench bench;
  const auto result = bench.run({"soak", "--quiet", "--minutes", "1", "--steps", "40", "--out", "soak"});
  CAPTURE(result.out);
  CAPTURE(result.err);
  // So short a training says nothing about memory and speed on a busy machine.
  CHECK((result.code == 0 || result.code == 1));
  const Table table = read_table(bench, "soak/soak.tsv");
  std::map<std::string, std::string> last_steps;
  for (const auto& line : table) {
    last_steps[line.at("optimizer") + ", " + line.at("subspaces")] = line.at("step");
    CHECK(std::stod(line.at("orthonormality_error")) < 1e-5);
    CHECK(std::stol(line.at("resident_bytes")) > 1'000'000);
  }
  for (const char* training : {"riemannian_adam, independent", "riemannian_adam, joint", "riemannian_sgd, independent",
                               "riemannian_sgd, joint"}) {
    CAPTURE(training);
    CHECK(last_steps[training] == "40");
    CHECK(contains(result.out, training));
  }
}

TEST_CASE("soak refuses what it cannot do") {
  const Bench bench;
  check_refused(bench, {"soak", "--minutes", "0", "--out", "soak"}, "--minutes 0");
  check_refused(bench, {"soak", "--optimizer", "riemanian_adam", "--out", "soak"}, "riemannian_adam");
  check_refused(bench, {"soak", "--subspaces", "all", "--out", "soak"}, "expected both, joint or independent");
  check_refused(bench, {"soak", "--steps", "9", "--out", "soak"}, "expected 10 or more");
}
