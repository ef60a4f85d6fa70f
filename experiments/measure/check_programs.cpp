#include "experiments/measure/check_programs.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <regex>

#include "core/base/child_process.h"
#include "core/base/error.h"
#include "core/device/device_info.h"
#include "experiments/cli/progress.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;

constexpr std::array small_tests{"*cuda/primitives_test.cpp",       "*cuda/attention_test.cpp",
                                 "*cuda/attention_bf16_test.cpp",   "*cuda/stiefel_test.cpp",
                                 "*core/ops/advance_step_test.cpp", "*models/llama/decode_step_test.cpp"};
constexpr std::array tools{"memcheck", "racecheck", "synccheck"};
// At most; what takes longer is said, and leaves less for what comes after it.
constexpr double tests_seconds = 220.0, tool_seconds = 35.0;
constexpr const char* smoke_tests = "--source-file=*core/tensor/tensor_test.cpp";

std::optional<fs::path> test_program() {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  for (const auto& file : {here / "csreft_tests", here.parent_path() / "tests" / "csreft_tests"}) {
    if (is_program(file)) return file;
  }
  return std::nullopt;
}

std::optional<fs::path> find_sanitizer() {
  std::vector<fs::path> more{"/usr/local/cuda/bin"};
  if (const char* home = std::getenv("CUDA_HOME")) more.insert(more.begin(), fs::path(home) / "bin");
  return find_program("compute-sanitizer", more);
}

// The name that the test programme has for the device.
std::string test_device(const Device& device) { return is_emulated(device) ? "emulated" : to_string(device); }

// The last `n` bytes of an output on one line.
std::string end_of(const std::string& output, std::size_t n = 300) {
  std::string text = output.substr(output.size() - std::min(n, output.size()));
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

struct TestCount {
  double passed, failed;
};
// What the last line `N passed, M failed` says, the test programme's last: compute-sanitizer has more to say after it.
std::optional<TestCount> last_count(const std::string& output) {
  static const std::regex line("(^|\\n)(\\d+) passed, (\\d+) failed\\n");
  constexpr std::size_t enough = 4096;
  const std::string end = output.substr(output.size() - std::min(enough, output.size()));
  std::optional<TestCount> last;
  for (std::sregex_iterator match(end.begin(), end.end(), line), none; match != none; ++match) {
    last = TestCount{std::stod((*match)[2]), std::stod((*match)[3])};
  }
  return last;
}

void run_tests(CheckRun& run, const fs::path& program, double seconds) {
  std::vector<std::string> words{program.string(), "--device", test_device(run.device())};
  if (run.smoke()) words.emplace_back(smoke_tests);
  const ChildResult result = run_child(words, {.seconds = seconds, .stop = interrupted});
  if (interrupted()) return run.leave_out("the tests: interrupted");
  if (result.timed_out) {
    return run.fail(fmt::format("the tests: not done after {:.0f} s; {} {} runs them alone", seconds, program.string(),
                                fmt::join(words.begin() + 1, words.end(), " ")));
  }
  const auto count = last_count(result.output);
  if (!count) {
    return run.fail(
        fmt::format("the tests ended with exit code {} and no count: {}", result.code, end_of(result.output)));
  }
  run.add({.what = "tests passed", .value = count->passed, .unit = ""});
  run.add({.what = "tests failed", .value = count->failed, .unit = "", .goal = 0.0, .at_most = true});
  if (result.code != 0 || count->passed + count->failed < 1.0) {
    run.fail(fmt::format("the tests, exit code {}: {}", result.code, end_of(result.output)));
  }
}

void sanitize(CheckRun& run, const fs::path& sanitizer, const fs::path& program, const std::string& tool,
              double seconds) {
  constexpr const char* found_exit = "9";
  const ChildResult result =
      run_child({sanitizer.string(), "--tool", tool, "--error-exitcode", found_exit, program.string(), "--device",
                 test_device(run.device()), fmt::format("--source-file={}", fmt::join(small_tests, ","))},
                {.seconds = seconds, .stop = interrupted});
  if (interrupted()) return run.leave_out(tool + ": interrupted");
  if (result.timed_out) return run.leave_out(fmt::format("{}: not done after {:.0f} s", tool, seconds));
  const auto count = last_count(result.output);
  if (result.code != 0 || !count || count->passed < 1.0) {
    return run.fail(fmt::format("{}, exit code {}: {}", tool, result.code, end_of(result.output)));
  }
  run.add({.what = tool + ", tests passed", .value = count->passed, .unit = ""});
}

}  // namespace

void check_tests(CheckRun& run) {
  run.part("tests", [&] {
    const auto program = test_program();
    if (!program) return run.fail("the tests: no csreft_tests beside this programme");
    run.attempt("the tests", tests_seconds, [&] { run_tests(run, *program, tests_seconds); });
  });
}

std::span<const char* const> sanitized_sources() { return small_tests; }

void sanitize_tests(CheckRun& run, const fs::path& program) {
  const auto sanitizer = find_sanitizer();
  if (!sanitizer) {
    return run.leave_out(
        fmt::format("{}: no compute-sanitizer on PATH, in CUDA_HOME or in /usr/local/cuda", fmt::join(tools, ", ")));
  }
  for (const char* tool : tools) {
    run.attempt(tool, tool_seconds, [&] { sanitize(run, *sanitizer, program, tool, tool_seconds); });
  }
}

void check_sanitizer(CheckRun& run) {
  run.part("compute-sanitizer", [&] {
    if (run.device().type != DeviceType::cuda || is_emulated(run.device())) {
      return run.leave_out(fmt::format("{}: the device is not a real one", fmt::join(tools, ", ")));
    }
    const auto program = test_program();
    if (!program) return run.fail("compute-sanitizer: no csreft_tests beside this programme");
    sanitize_tests(run, *program);
  });
}

}  // namespace csreft
