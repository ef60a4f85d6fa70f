#include "experiments/harness/check_programs.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <regex>

#include "core/device_info.h"
#include "core/error.h"
#include "experiments/harness/child_process.h"
#include "experiments/harness/progress.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;

constexpr const char* small_tests =
    "--source-file=*core/ops_test.cpp,*core/llama_ops_test.cpp,*core/attention_test.cpp";
constexpr const char* smoke_tests = "--source-file=*core/tensor_test.cpp";

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
// The last line of the test programme: `N passed, M failed`.
std::optional<TestCount> last_count(const std::string& output) {
  static const std::regex line("(\\d+) passed, (\\d+) failed\\n$");
  std::smatch match;
  const std::string end = output.substr(output.size() - std::min<std::size_t>(100, output.size()));
  if (!std::regex_search(end, match, line)) return std::nullopt;
  return TestCount{std::stod(match[1]), std::stod(match[2])};
}

void run_tests(CheckRun& run, const fs::path& program, double seconds) {
  std::vector<std::string> words{program.string(), "--device", test_device(run.device())};
  if (run.smoke()) words.emplace_back(smoke_tests);
  const ChildResult result = run_child(words, seconds);
  if (interrupted()) return run.leave_out("the tests: interrupted");
  if (result.timed_out) {
    return run.leave_out(fmt::format("the tests: not done after {:.0f} s; {} {} runs them alone", seconds,
                                     program.string(), fmt::join(words.begin() + 1, words.end(), " ")));
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
  const ChildResult result = run_child({sanitizer.string(), "--tool", tool, "--error-exitcode", found_exit,
                                        program.string(), "--device", test_device(run.device()), small_tests},
                                       seconds);
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
    if (!program) return run.leave_out("the tests: no csreft_tests beside this programme");
    constexpr double seconds = 240.0;
    run.attempt("the tests", seconds, [&] { run_tests(run, *program, seconds); });
  });
}

void sanitize_tests(CheckRun& run, const fs::path& program) {
  const auto sanitizer = find_sanitizer();
  if (!sanitizer) {
    return run.leave_out("memcheck and racecheck: no compute-sanitizer on PATH, in CUDA_HOME or in /usr/local/cuda");
  }
  constexpr double seconds = 60.0;
  for (const char* tool : {"memcheck", "racecheck"}) {
    run.attempt(tool, seconds, [&] { sanitize(run, *sanitizer, program, tool, seconds); });
  }
}

void check_sanitizer(CheckRun& run) {
  run.part("compute-sanitizer", [&] {
    if (run.device().type != DeviceType::cuda || is_emulated(run.device())) {
      return run.leave_out("memcheck and racecheck: the device is not a real one");
    }
    const auto program = test_program();
    if (!program) return run.leave_out("memcheck and racecheck: no csreft_tests beside this programme");
    sanitize_tests(run, *program);
  });
}

}  // namespace csreft
