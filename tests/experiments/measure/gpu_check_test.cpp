// ./run gpu-check with tiny shapes: every part on this build's device.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/base/child_process.h"
#include "experiments/measure/check_programs.h"
#include "tests/device.h"
#include "tests/environment.h"
#include "tests/error_text.h"
#include "tests/experiments/command_bench.h"
#include "tests/temporary_folder.h"

namespace {

const bool has_emulated_device = cuda_backend() == "emulated";
const bool has_no_device = cuda_backend() == "disabled";

ProgramResult run_in(const TemporaryFolder& folder, const Words& words) {
  return run_program(words, {.folder = folder.path()});
}

}  // namespace

TEST_CASE("gpu-check --smoke goes through every part, and its figures are finite") {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_in(folder, {"gpu-check", "--smoke", "--device", has_emulated_device ? "cuda" : "cpu", "--out", "checked"});
  CAPTURE(result.out);
  CAPTURE(result.err);
  CHECK(result.code == 0);
  const auto record = nlohmann::json::parse(folder.read("checked/gpu-check.json"));
  CHECK_FALSE(record["interrupted"].get<bool>());
  CHECK_FALSE(record["failed"].get<bool>());
  REQUIRE(record["parts"].size() == 6);
  std::set<std::string> figures;
  for (const auto& part : record["parts"]) {
    CAPTURE(part.dump());
    CHECK(part["failures"].empty());
    for (const auto& figure : part["figures"]) {
      const auto what = figure["what"].get<std::string>();
      CAPTURE(what);
      figures.insert(what);
      CHECK(std::isfinite(figure["value"].get<double>()));
      const bool of_edits = what.starts_with("training, loreft") || what.starts_with("training, csreft");
      CHECK(contains(figure.value("remark", ""), "% by what a step multiplies") == of_edits);
    }
  }
  for (const char* what :
       {"tests passed", "product in f32, 32 cubed", "copy of 4 KiB", "Llama-2-7B, f32, 32 tokens, backward",
        "edits of csreft, prompt of 32 tokens", "training, loreft, 1 x 32 tokens", "training, csreft, 1 x 32 tokens",
        "training, lora, 1 x 32 tokens", "most memory, lora, 1 x 32 tokens", "decoding, after 32 tokens",
        "decoding with a draw, after 32 tokens"}) {
    CAPTURE(what);
    CHECK(figures.contains(what));
  }
  const std::string page = folder.read("checked/gpu-check.html");
  CHECK(page.starts_with("<!doctype html>"));
  CHECK(contains(page, "decoding, after 32 tokens"));
  CHECK(contains(page, "Left out: memcheck, racecheck, synccheck: "));
}

TEST_CASE("gpu-check without a device it can measure is one error line, and leaves nothing") {
  const TemporaryFolder folder;
  const auto refused = [&](const Words& words, const std::string& part) {
    const ProgramResult result = run_in(folder, words);
    CAPTURE(result.err);
    CHECK(result.code == 2);
    CHECK(is_one_error_line(result.err));
    CHECK(contains(result.err, part));
    CHECK(folder.count() == 0);
  };
  refused({"gpu-check", "--device", "cpu"}, "expected --device cuda, or --smoke");
  if (has_no_device) refused({"gpu-check"}, "this build has no CUDA backend");
  if (has_emulated_device) refused({"gpu-check"}, "not emulated");
}

TEST_CASE("a figure to reach is a least or a most, and the record says what failed and what was left out") {
  csreft::CheckRecord record{.title = "check", .command = "./run gpu-check", .device = "card <1>"};
  record.parts.push_back({.name = "limits",
                          .figures = {{.what = "low", .value = 0.9, .unit = "x", .goal = 1.0},
                                      {.what = "short", .value = 0.9, .unit = "x", .goal = 1.0, .at_most = true},
                                      {.what = "free", .value = 12345.6, .unit = "x"}},
                          .left_out = {"this: no time"}});
  CHECK_FALSE(record.failed());
  CHECK(csreft::figure_line(record.parts[0].figures[0]).ends_with("at least 1: not reached"));
  CHECK(csreft::figure_line(record.parts[0].figures[1]).ends_with("at most 1: reached"));
  CHECK(contains(csreft::figure_line(record.parts[0].figures[2]), " 12346 x"));
  const auto json = csreft::check_json(record);
  CHECK(json["parts"][0]["figures"][0]["reached"] == false);
  CHECK(json["parts"][0]["figures"][1]["at_most"] == 1.0);
  CHECK_FALSE(json["parts"][0]["figures"][2].contains("reached"));
  CHECK(json["parts"][0]["left_out"][0] == "this: no time");
  const std::string page = csreft::check_page(record);
  CHECK(contains(page, "1 of 2 figures to reach are reached; 0 failures; 1 left out."));
  CHECK(contains(page, "card &lt;1&gt;"));
  record.parts[0].failures.emplace_back("that");
  CHECK(record.failed());
}

TEST_CASE("what compute-sanitizer finds is a failure, and what it passes is counted") {
  const TemporaryFolder folder;
  const auto sanitized = [&](const std::string& script) {
    const auto file = folder.write("compute-sanitizer", "#!/bin/sh\n" + script);
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    const EnvironmentVariable path("PATH", folder.path().string() + ":" + std::getenv("PATH"));
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> printed(std::fopen((folder / "printed").c_str(), "w"),
                                                                  std::fclose);
    csreft::CheckRun run({.title = "check", .command = "", .device = ""}, {}, folder.path(), 600.0, /*smoke=*/true,
                         printed.get());
    run.part("compute-sanitizer", [&] { csreft::sanitize_tests(run, "/a/csreft_tests"); });
    return run.record();
  };
  // The tool has a line of its own before what it runs and one after it.
  const std::string header = "echo '========= COMPUTE-SANITIZER'; ";
  const auto summary = [](int errors) { return fmt::format("; echo '========= ERROR SUMMARY: {} errors'", errors); };
  const auto good =
      sanitized("echo \"$@\" >>\"${0%/*}/words\"; " + header + "echo '12 passed, 0 failed'" + summary(0) + "\n");
  CHECK_FALSE(good.failed());
  REQUIRE(good.parts[0].figures.size() == 3);
  CHECK(good.parts[0].figures[0].what == "memcheck, tests passed");
  CHECK(good.parts[0].figures[1].what == "racecheck, tests passed");
  CHECK(good.parts[0].figures[1].value == 12.0);
  CHECK(good.parts[0].figures[2].what == "synccheck, tests passed");
  const std::string words = folder.read("words");
  CHECK(words.starts_with("--tool memcheck --error-exitcode 9 /a/csreft_tests --device cpu --source-file="));
  CHECK(contains(words, "\n--tool racecheck --error-exitcode 9 "));

  const auto bad = sanitized(header + "echo 'Invalid __global__ read of size 4'; echo '12 passed, 0 failed'" +
                             summary(1) + "; exit 9\n");
  CHECK(bad.failed());
  REQUIRE(bad.parts[0].failures.size() == 3);
  CHECK(
      contains(bad.parts[0].failures[0], "memcheck, exit code 9: ========= COMPUTE-SANITIZER Invalid __global__ read"));
  CHECK(bad.parts[0].figures.empty());
  CHECK(contains(folder.read("printed"), "  FAILED: synccheck, exit code 9: "));

  CHECK(sanitized("echo 'nothing was run'\n").failed());
  CHECK(sanitized("echo '0 passed, 0 failed'\n").failed());
}

TEST_CASE("each file that compute-sanitizer is to run has tests") {
  if (!has_emulated_device) return;
  for (const char* file : csreft::sanitized_sources()) {
    CAPTURE(file);
    const auto list =
        csreft::run_child({"/proc/self/exe", "--device", "emulated", fmt::format("--source-file={}", file), "--count"},
                          {.seconds = 60.0});
    CAPTURE(list.output);
    CHECK(contains(list.output, "current filters: "));
    CHECK_FALSE(contains(list.output, "current filters: 0"));
  }
}
