// Commands that are killed at a few random moments each; `./run test --kills 200` does it at as many as one wants.
#include <csignal>
#include <fstream>

#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include "core/base/child_process.h"
#include "tests/endurance/interposed.h"
#include "tests/endurance/killed_commands.h"
#include "tests/environment.h"
#include "tests/source.h"
#include "tests/temporary_folder.h"

namespace {

using Words = KilledCommand::Words;

constexpr std::int64_t moments = 4;
constexpr std::uint64_t seed = 1;

bool can_interpose() { return std::filesystem::exists(interposed_library()); }

void check(const KilledGroup& group) {
  const KillTally tally = kill_at_random(group, {.moments = moments, .seed = seed});
  INFO(fmt::format("seed {}\n{}", seed, fmt::join(tally.faults, "\n")));
  CHECK(tally.moments() == moments);
  CHECK(tally.ends > 0);
  CHECK(tally.half_files == 0);
  CHECK(tally.losses == 0);
}

}  // namespace

TEST_CASE("training that is killed at any of its first or last operations on files goes on, and has all that it makes" *
          doctest::skip(!can_interpose())) {
  const KilledCommand command = killed_groups()[0].commands[0];
  const TemporaryFolder counts;
  const Words short_training = small_training({"--steps", "1"});
  const auto start = [&](const TemporaryFolder& folder, std::int64_t at) {
    const EnvironmentVariable library("LD_PRELOAD", interposed_library().string()),
        count("CSREFT_COUNT", counts.path().string()), kill("CSREFT_KILL_AT", std::to_string(at)),
        half("CSREFT_KILL_HALF", at % 2 == 0 ? "1" : "0");
    const bool has_begun =
        std::filesystem::exists(folder / "made/config.json") || std::filesystem::exists(folder / "made/.csreft-run");
    const Words resume{tested_program(), "train", "--quiet", "--resume", "made"};
    return csreft::run_child(has_begun ? resume : short_training, {.folder = folder.path(), .errors_apart = true});
  };
  const auto prepared = [&](const auto& use) {
    const TemporaryFolder folder;
    command.prepare(folder.path());
    use(folder);
  };
  KilledCommand::Contents whole;
  prepared([&](const TemporaryFolder& folder) {
    REQUIRE(start(folder, 0).code == 0);
    whole = command.outcome(folder.path());
  });
  const std::int64_t last = most_operations(counts.path());
  REQUIRE(last > 17);
  std::vector<std::int64_t> operations;
  for (std::int64_t i = 1; i <= 12; ++i) operations.push_back(i);
  for (std::int64_t i = last - 4; i <= last; ++i) operations.push_back(i);
  for (const auto at : operations) {
    CAPTURE(at);
    prepared([&](const TemporaryFolder& folder) {
      CHECK(start(folder, at).code == 128 + SIGKILL);
      CHECK(fmt::format("{}", fmt::join(command.broken(folder.path()), "\n")).empty());
      const auto result = start(folder, 0);
      CAPTURE(result.errors);
      REQUIRE(result.code == 0);
      const auto made = command.outcome(folder.path());
      for (const auto& [file, content] : whole) {
        CAPTURE(file);
        REQUIRE(made.contains(file));
        CHECK((made.at(file) == content));
      }
      CHECK(made.size() == whole.size());
    });
  }
}

TEST_CASE("training that is killed leaves whole files, and goes on to the same bits" *
          doctest::skip(!can_interpose())) {
  check(killed_groups()[0]);
}

TEST_CASE("an ablation of two processes that is killed leaves whole files, and goes on to the same bits" *
          doctest::skip(!can_interpose())) {
  check(killed_groups()[1]);
}

TEST_CASE("answers that are killed leave whole files, and go on to the same bits" * doctest::skip(!can_interpose())) {
  check(killed_groups()[2]);
}

TEST_CASE("a bundle whose making is killed is whole or not there, and nothing else is left by the next" *
          doctest::skip(!has_whole_source())) {
  check(killed_bundle());
}

TEST_CASE("a model whose download is killed is whole or not there, and nothing else is left by the next" *
          doctest::skip(!has_whole_source())) {
  check(killed_download());
}

TEST_CASE("a command that leaves half a file, or ends otherwise after a kill, is found out" *
          doctest::skip(!has_whole_source())) {
  // Appends to a file for a while, and says at last how often it was started.
  const auto broken_after = [](const char* what) {
    return KilledGroup{"wrong",
                       {{.name = "wrong",
                         .prepare = [](const std::filesystem::path&) {},
                         .words =
                             [what](const std::filesystem::path&) {
                               return KilledCommand::Words{"/bin/sh", "-c", what};
                             },
                         .broken =
                             [](const std::filesystem::path& folder) {
                               const bool is_half = std::filesystem::exists(folder / "half");
                               return is_half ? std::vector<std::string>{"half is there"} : std::vector<std::string>();
                             },
                         .outcome =
                             [](const std::filesystem::path& folder) {
                               KilledCommand::Contents files;
                               for (const auto& entry : std::filesystem::directory_iterator(folder)) {
                                 files[entry.path().filename().string()] = "";
                               }
                               return files;
                             },
                         .at_operations = false}}};
  };
  const KillTally half =
      kill_at_random(broken_after("touch half; sleep 0.2; rm -f half"), {.moments = 4, .seed = seed});
  CHECK(half.half_files > 0);
  CHECK(half.losses == 0);
  const KillTally lost = kill_at_random(broken_after("touch begun-$$; sleep 0.2; rm -f begun-$$; touch done"),
                                        {.moments = 4, .seed = seed});
  CHECK(lost.losses > 0);
}
