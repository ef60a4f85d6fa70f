// Commands on a disk that is full, in a folder that is read-only, with little memory, and under a clock that jumps.
#include <algorithm>
#include <array>
#include <fstream>

#include <doctest/doctest.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/base/atomic_file.h"
#include "core/base/child_process.h"
#include "core/base/error.h"
#include "experiments/cli/cli.h"
#include "tests/endurance/interposed.h"
#include "tests/endurance/killed_commands.h"
#include "tests/endurance/whole_files.h"
#include "tests/environment.h"
#include "tests/error_text.h"
#include "tests/experiments/command_bench.h"
#include "tests/source.h"
#include "tests/temporary_folder.h"

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

const Words csreft_training{"--method",     "csreft",        "--subspaces",      "2", "--router-hidden", "4",
                            "--validation", "two.test.json", "--validate-every", "3", "--keep",          "best"};

Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string line_of(const Words& words) {
  std::string line;
  for (const auto& word : words) line += csreft::shell_quoted(word) + " ";
  return line;
}

// Runs a script in which the folder's tmpfs may be mounted: mounts end with it. Nothing where that may not be.
std::optional<csreft::ChildResult> run_mounting(const fs::path& folder, const std::string& script) {
  const auto unshare = csreft::find_program("unshare");
  if (!unshare) return std::nullopt;
  Words words{unshare->string(), "--mount"};
  if (::geteuid() != 0) words.emplace_back("--map-root-user");
  const auto run = [&](const std::string& text) {
    Words all = words;
    all.insert(all.end(), {"/bin/sh", "-c", text});
    return csreft::run_child(all, {.folder = folder, .errors_apart = true});
  };
  const auto tried = run("mkdir tried && mount -t tmpfs -o size=1m tmpfs tried && umount tried && rmdir tried");
  if (tried.code != 0) return std::nullopt;
  return run("set -eu\n" + script);
}

void say_skipped() { MESSAGE("skipped: no programme `unshare`, or no file systems may be mounted here"); }

std::string text_of(const fs::path& file) { return csreft::read_text_file(file); }

// What a command has made in the folder `made` when nothing was scarce.
std::map<std::string, std::string> made_in_plenty(const Words& words) {
  const TemporaryFolder folder;
  small_work(folder.path());
  fs::create_directories(folder / "made");
  const auto result = csreft::run_child(words, {.folder = folder.path(), .errors_apart = true});
  CAPTURE(result.errors);
  REQUIRE(result.code == 0);
  return lasting_contents(folder / "made");
}

// A start on a disk of so many KiB, then one with room; `goes_on` has words that go on with the first.
void check_full_disk(const Words& words, const Words& goes_on, int kib, int& n_full) {
  CAPTURE(words[1]);
  CAPTURE(kib);
  const TemporaryFolder folder;
  small_work(folder.path());
  const std::string script = fmt::format(
      "mkdir made && mount -t tmpfs -o size={}k tmpfs made\n"
      "code=0; {} >out 2>errors || code=$?; echo $code >code; cp -a made full\n"
      "mount -o remount,size=64m made\n"
      "if [ -e made/.csreft-run ]; then {} >out-2 2>errors-2; else {} >out-2 2>errors-2; fi\n"
      "cp -a made kept && umount made && rmdir made && mv kept made\n",
      kib, line_of(words), line_of(goes_on), line_of(words));
  const auto result = run_mounting(folder.path(), script);
  REQUIRE(result.has_value());
  const std::string errors = text_of(folder / "errors");
  CAPTURE(errors);
  CHECK(fmt::format("{}", fmt::join(broken_files(folder / "full"), "\n")).empty());
  if (text_of(folder / "code") != "0\n") {
    ++n_full;
    CHECK(text_of(folder / "code") == "2\n");
    CHECK(is_one_error_line(errors));
  }
  const bool went_on = fs::exists(folder / "errors-2");
  CAPTURE(result->errors);
  REQUIRE(went_on);
  CAPTURE(text_of(folder / "errors-2"));
  REQUIRE(result->code == 0);
  static std::map<Words, std::map<std::string, std::string>> plenty;
  if (!plenty.contains(words)) plenty[words] = made_in_plenty(words);
  const auto made = lasting_contents(folder / "made");
  for (const auto& [file, content] : plenty[words]) {
    CAPTURE(file);
    REQUIRE(made.contains(file));
    CHECK((made.at(file) == content));
  }
  CHECK(made.size() == plenty[words].size());
}

Words answers_into_folder() {
  Words words = small_answers();
  std::ranges::replace(words, "made.json", "made/out.json");
  return words;
}

}  // namespace

TEST_CASE("a disk that is full is one error, leaves whole files, and costs nothing of what was done") {
  const TemporaryFolder any;
  if (!run_mounting(any.path(), "true")) return say_skipped();
  const Words training = small_training(csreft_training),
              resume{tested_program(), "train", "--quiet", "--resume", "made"};
  int n_full = 0;
  for (const int kib : {4, 12, 28}) check_full_disk(training, resume, kib, n_full);
  const Words ablation = small_ablation({"--jobs", "2"});
  for (const int kib : {40}) check_full_disk(ablation, ablation, kib, n_full);
  const Words answers = answers_into_folder();
  for (const int kib : {4, 8}) check_full_disk(answers, answers, kib, n_full);
  CHECK(n_full >= 4);  // some of the disks may have room enough
}

TEST_CASE("a bundle or a model for which a disk has no room is one error, and leaves nothing" *
          doctest::skip(!has_whole_source())) {
  const KilledCommand bundle = killed_bundle().commands[0], download = killed_download().commands[0];
  for (const auto& [command, place, said] : {std::tuple(&bundle, "out", "error: cannot make the bundle out/made; "),
                                             std::tuple(&download, "cache", "error: no room for the default model")}) {
    CAPTURE(place);
    const TemporaryFolder folder;
    command->prepare(folder.path());
    const auto result =
        run_mounting(folder.path(), fmt::format("mkdir -p {0} && mount -t tmpfs -o size=100k tmpfs {0}\n"
                                                "code=0; {1} 2>errors || code=$?; echo $code >code; ls -A {0} >left\n",
                                                place, line_of(command->words(folder.path()))));
    if (!result) return say_skipped();
    const std::string errors = text_of(folder / "errors");
    CAPTURE(errors);
    CHECK(text_of(folder / "code") == "2\n");
    CHECK(contains(errors, said));
    CHECK(errors.find("error: ", errors.find(said) + 1) == std::string::npos);
    CHECK(text_of(folder / "left").empty());
  }
}

TEST_CASE("a read-only folder is read as any other, and writing into it is one error that changes nothing") {
  const TemporaryFolder folder;
  small_work(folder.path());
  const Words training = small_training({"--method", "loreft"});
  REQUIRE(csreft::run_child(training, {.folder = folder.path()}).code == 0);
  const std::array<std::pair<const char*, Words>, 6> refused{
      {{"training", joined(training, {"--force"})},
       {"extended", {tested_program(), "train", "--quiet", "--resume", "made", "--epochs", "9"}},
       {"ablation", small_ablation({})},
       {"answers", answers_into_folder()},
       {"evaluation",
        {tested_program(), "evaluate", "--quiet", "--model", "model", "--test", "one.test.json", "--out",
         "made/scores.json"}},
       {"model", {tested_program(), "make-random", "--quiet", "--out", "made/random"}}}};
  std::string script = "mv made was && mkdir made && mount -t tmpfs tmpfs made && cp -a was/. made\n";
  script += "cp -a model made/model && mount -o remount,ro made\n";
  for (const auto& [name, words] : refused) {
    script += fmt::format("code=0; {0} >{1}.out 2>{1}.errors || code=$?; echo $code >{1}.code\n", line_of(words), name);
  }
  script += fmt::format("{} generate --quiet --model made/model --adapter made --prompt A --max-new-tokens 1\n",
                        csreft::shell_quoted(tested_program()));
  script += fmt::format("{} runs made >runs.out\nrm -r made/model 2>removed || true\ncp -a made after\n",
                        csreft::shell_quoted(tested_program()));
  const auto result = run_mounting(folder.path(), script);
  if (!result) return say_skipped();
  CAPTURE(result->errors);
  CHECK(result->code == 0);
  for (const auto& [name, words] : refused) {
    CAPTURE(name);
    const std::string errors = text_of(folder / (std::string(name) + ".errors"));
    CAPTURE(errors);
    CHECK(text_of(folder / (std::string(name) + ".code")) == "2\n");
    CHECK(is_one_error_line(errors));
  }
  fs::remove_all(folder / "after/model");
  for (const auto& [file, bytes] : snapshot(folder / "was")) {
    CAPTURE(file);
    const fs::path now = folder / "after" / fs::relative(file, folder / "was");
    CHECK(fs::exists(now));
    if (bytes != "/") CHECK((text_of(now) == bytes));
  }
  CHECK(snapshot(folder / "after").size() == snapshot(folder / "was").size());
}

TEST_CASE("with too little memory a command ends with one error or does its work, and goes on with more") {
  constexpr std::size_t mib = std::size_t{1} << 20;
  const Words training = small_training(csreft_training);
  Words on_two_threads = training;
  *(std::ranges::find(on_two_threads, "--threads") + 1) = "2";
  const auto plenty = made_in_plenty(training);
  const auto lists = [](std::size_t bytes) {
    try {
      return csreft::run_child({tested_program()}, {.errors_apart = true, .address_space = bytes}).code == 0;
    } catch (const csreft::Error&) {
      return false;  // not even loaded
    }
  };
  std::size_t bound = 16 * mib;
  while (!lists(bound)) bound += bound / 4;
  int n_refused = 0, n_done = 0, n_done_on_two = 0;
  for (; (n_done < 2 || n_done_on_two < 2) && bound < (std::size_t{64} << 30); bound += bound / 14) {
    CAPTURE(bound / mib);
    const TemporaryFolder folder;
    small_work(folder.path());
    const auto result =
        csreft::run_child(training, {.folder = folder.path(), .errors_apart = true, .address_space = bound});
    CAPTURE(result.errors);
    CHECK(fmt::format("{}", fmt::join(broken_files(folder.path()), "\n")).empty());
    if (result.code == 0) {
      ++n_done;
    } else {
      ++n_refused;
      CHECK(result.code == 2);
      CHECK(is_one_error_line(result.errors));
      const bool has_begun = fs::exists(folder / "made/.csreft-run");
      const Words resume{tested_program(), "train", "--quiet", "--resume", "made"};
      REQUIRE(csreft::run_child(has_begun ? resume : training, {.folder = folder.path()}).code == 0);
    }
    CHECK((lasting_contents(folder / "made") == plenty));

    const TemporaryFolder other;
    small_work(other.path());
    const auto threads =
        csreft::run_child(on_two_threads, {.folder = other.path(), .errors_apart = true, .address_space = bound});
    CAPTURE(threads.errors);
    CHECK((threads.code == 0 || (threads.code == 2 && is_one_error_line(threads.errors))));
    if (threads.code == 0) ++n_done_on_two;
  }
  CHECK(n_done >= 2);
  CHECK(n_done_on_two == 2);
  CHECK(n_refused > 0);
}

TEST_CASE("a clock that jumps by a day changes neither what is learnt nor what durations are measured" *
          doctest::skip(!fs::exists(interposed_library()))) {
  const Words training = small_training(csreft_training);
  const auto plenty = made_in_plenty(training);
  const TemporaryFolder folder;
  small_work(folder.path());
  const EnvironmentVariable library("LD_PRELOAD", interposed_library().string()), jumps("CSREFT_CLOCK_JUMPS", "1");
  const auto result = csreft::run_child(training, {.folder = folder.path(), .errors_apart = true});
  CAPTURE(result.errors);
  REQUIRE(result.code == 0);
  CHECK((lasting_contents(folder / "made") == plenty));
  constexpr double longest = 3600.0;  // seconds: a day would be 86,400
  const json summary = json::parse(text_of(folder / "made/summary.json"));
  CHECK(summary["training_seconds"].get<double>() > 0.0);
  CHECK(summary["training_seconds"].get<double>() < longest);
  CHECK(summary["tokens_per_second"].get<double>() > 0.0);
}
