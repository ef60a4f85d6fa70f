#include "experiments/training/run_folder.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tests/error_text.h"
#include "tests/experiments/command_bench.h"
#include "tests/temporary_folder.h"

namespace {

using csreft::Replace;
using csreft::RunFolder;

const std::string config = R"({"experiment": "train", "arguments": []})";

std::string refusal(const std::filesystem::path& folder, Replace replace = Replace::nothing) {
  return error_text([&] { return RunFolder::take(folder, replace).path().string().size(); });
}

void finish(const TemporaryFolder& folder, bool is_interrupted) {
  folder.write("run/summary.json", nlohmann::json{{"interrupted", is_interrupted}}.dump());
}

}  // namespace

TEST_CASE("a folder that no run begins in is as it was before") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "empty");
  const Snapshot before = snapshot(folder.path());
  for (const char* name : {"empty", "new", "a/b/c", "slash/"}) {
    const RunFolder run = RunFolder::take(folder / name);
    CHECK(std::filesystem::is_directory(run.path()));
  }
  CHECK(snapshot(folder.path()) == before);
}

TEST_CASE("what is not a run's is never taken, not even by force") {
  const TemporaryFolder folder;
  folder.write("file", "1");
  CHECK(contains(refusal(folder / "file"), "file"));
  std::filesystem::create_directories(folder / "model/adapter");
  folder.write("model/config.json", R"({"hidden_size": 16})");
  const Snapshot before = snapshot(folder.path());
  for (const auto replace : {Replace::nothing, Replace::unfinished, Replace::any}) {
    CHECK(contains(refusal(folder / "model", replace), "is not the folder of a run and holds adapter"));
  }
  CHECK(contains(error_text([&] { return RunFolder::reopen(folder / "model").path().string().size(); }),
                 "is not the folder of a run"));
  CHECK(snapshot(folder.path()) == before);
}

TEST_CASE("a run is replaced only as far as is allowed, and what it left is gone") {
  const TemporaryFolder folder;
  RunFolder::take(folder / "run").begin(config);
  CHECK(csreft::holds_run(folder / "run"));
  CHECK(contains(refusal(folder / "run"), "unfinished run: expected --resume "));
  finish(folder, /*is_interrupted=*/true);
  CHECK_FALSE(csreft::holds_finished_run(folder / "run"));
  CHECK(contains(refusal(folder / "run"), "unfinished run"));
  finish(folder, /*is_interrupted=*/false);
  CHECK(csreft::holds_finished_run(folder / "run"));
  CHECK(contains(refusal(folder / "run"), "finished run: expected another --out, or --force"));
  CHECK(contains(refusal(folder / "run", Replace::unfinished), "finished run"));

  for (const char* name : {"state.safetensors", "metrics.jsonl", "validation.jsonl", "report.html", "notes.txt",
                           "state.safetensors.tmp-1-0"}) {
    folder.write(std::string("run/") + name, "1");
  }
  RunFolder::take(folder / "run", Replace::any).begin(config);
  const auto files = snapshot(folder / "run");
  CHECK(files.size() == 3);
  for (const char* name : {".csreft-run", "config.json", "notes.txt"}) {
    CHECK(files.contains((folder / (std::string("run/") + name)).string()));  // what the user put there stays
  }
}

TEST_CASE("a run of the time before markers counts as one, and one of another format is refused") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "run");
  folder.write("run/config.json", config);
  CHECK(csreft::holds_run(folder / "run"));
  CHECK(RunFolder::reopen(folder / "run").path() == folder / "run");
  for (const char* mark : {R"({"format": 2})", "{}", "", "[1]"}) {
    folder.write("run/.csreft-run", mark);
    CAPTURE(mark);
    CHECK(contains(refusal(folder / "run", Replace::any), ".csreft-run"));
  }
}

TEST_CASE("a folder is one process's at a time") {
  const TemporaryFolder folder;
  RunFolder run = RunFolder::take(folder / "run");
  const std::string in_use = "is in use by process " + std::to_string(::getpid());
  CHECK(contains(refusal(folder / "run"), in_use));
  run.begin(config);
  CHECK(contains(refusal(folder / "run", Replace::any), in_use));
  CHECK(contains(error_text([&] { return RunFolder::reopen(folder / "run").path().string().size(); }), in_use));
  CHECK(folder.read("run/config.json") == config);
}

TEST_CASE("runs that start in the same second get folders of their own") {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  {
    const RunFolder first = RunFolder::take_new("train"), second = RunFolder::take_new("train"),
                    third = RunFolder::take_new("train");
    CHECK(first.path() != second.path());
    CHECK(second.path() != third.path());
    CHECK(third.path().string().starts_with("runs/train-"));
  }
  CHECK(folder.count() == 0);
  std::filesystem::current_path(before);
}

TEST_CASE("a folder in which a process was killed before its run began is free") {
  const TemporaryFolder folder;
  for (const char* left : {"run/.csreft-lock", "run/config.json.tmp-7-0", "run/.csreft-run.tmp-7-0"}) {
    std::filesystem::create_directories(folder / "run");
    folder.write(left, "half");
  }
  RunFolder run = RunFolder::take(folder / "run");
  run.begin(config);
  CHECK(std::filesystem::exists(folder / "run/config.json"));
  CHECK_FALSE(std::filesystem::exists(folder / "run/config.json.tmp-7-0"));
  CHECK_FALSE(std::filesystem::exists(folder / "run/.csreft-run.tmp-7-0"));
}

TEST_CASE("a run whose marker a kill has prevented gets it when it goes on") {
  const TemporaryFolder folder;
  RunFolder::take(folder / "run").begin(config);
  const std::string mark = folder.read("run/.csreft-run");
  std::filesystem::remove(folder / "run/.csreft-run");
  RunFolder::reopen(folder / "run").go_on();
  CHECK(folder.read("run/.csreft-run") == mark);
}
