// The test programme. Without arguments it runs the tests; --golden DIR runs the golden values in DIR instead, and
// --kills N kills commands; --device D before that runs what is numeric on another device than the CPU; other flags are
// doctest's. The last line on stdout is `N passed, M failed`: test cases, checks of golden values, or commands killed.
#define DOCTEST_CONFIG_IMPLEMENT
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/whole_number.h"
#include "tests/device.h"
#include "tests/endurance/kill_table.h"
#include "tests/golden_runner.h"

namespace {

struct Count {
  unsigned passed = 0, failed = 0;
};

int finish(const Count& count) {
  fmt::print("{} passed, {} failed\n", count.passed, count.failed);
  return count.failed == 0 ? 0 : 1;
}

// doctest ignores what it does not know: these are its flags (version 2.4).
constexpr std::array<std::string_view, 37> flags{"?",
                                                 "h",
                                                 "help",
                                                 "v",
                                                 "version",
                                                 "c",
                                                 "count",
                                                 "ltc",
                                                 "list-test-cases",
                                                 "lts",
                                                 "list-test-suites",
                                                 "lr",
                                                 "list-reporters",
                                                 "s",
                                                 "success",
                                                 "cs",
                                                 "case-sensitive",
                                                 "e",
                                                 "exit",
                                                 "d",
                                                 "duration",
                                                 "m",
                                                 "minimal",
                                                 "q",
                                                 "quiet",
                                                 "nt",
                                                 "no-throw",
                                                 "ne",
                                                 "no-exitcode",
                                                 "nr",
                                                 "no-run",
                                                 "ni",
                                                 "no-intro",
                                                 "nv",
                                                 "no-version",
                                                 "nc",
                                                 "no-colors"};
constexpr std::array<std::string_view, 32> flags_with_value{"tc", "test-case",   "tce",  "test-case-exclude",
                                                            "sf", "source-file", "sfe",  "source-file-exclude",
                                                            "ts", "test-suite",  "tse",  "test-suite-exclude",
                                                            "sc", "subcase",     "sce",  "subcase-exclude",
                                                            "r",  "reporters",   "o",    "out",
                                                            "ob", "order-by",    "rs",   "rand-seed",
                                                            "f",  "first",       "l",    "last",
                                                            "aa", "abort-after", "scfl", "subcase-filter-levels"};

void check_flag(const std::string& argument) {
  const std::size_t dashes = argument.starts_with("--") ? 2 : 1;
  const std::size_t equals = argument.find('=');
  std::string_view name = std::string_view(argument).substr(dashes, equals - dashes);
  if (name.starts_with("dt-")) name.remove_prefix(3);
  const bool valued = equals != std::string::npos;
  const bool known = argument.starts_with('-') &&
                     (std::ranges::count(flags_with_value, name) == 1 ? valued : std::ranges::count(flags, name) == 1);
  csreft::require(known, "unknown argument '{}': expected --golden DIR or doctest's flags (--help lists them)",
                  argument);
}

// The folder after --golden, if the command line asks for golden values. Throws Error for arguments that mean nothing.
std::optional<std::string> parse_arguments(const std::vector<std::string>& arguments) {
  constexpr std::string_view joined = "--golden=";
  for (const auto& argument : arguments) {
    if (argument != "--golden" && !argument.starts_with(joined)) continue;
    const bool separate = argument == "--golden";
    csreft::require(&argument == &arguments.front() && arguments.size() == (separate ? 2U : 1U),
                    "--golden takes one folder and stands alone: expected --golden DIR");
    return separate ? arguments[1] : argument.substr(joined.size());
  }
  for (const auto& argument : arguments) check_flag(argument);
  return std::nullopt;
}

// Chooses the device that --device D or --device=D at the front of the command line names, and takes that away.
void take_device(std::vector<std::string>& arguments) {
  constexpr std::string_view joined = "--device=";
  if (arguments.empty()) return;
  if (arguments[0].starts_with(joined)) {
    set_test_device(arguments[0].substr(joined.size()));
    arguments.erase(arguments.begin());
  } else if (arguments[0] == "--device") {
    csreft::require(arguments.size() > 1, "--device names nothing: expected cpu, cuda or emulated");
    set_test_device(arguments[1]);
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
}

// --kills N [--seed S] [--only NAME], each as `--flag value` or `--flag=value`. False for other arguments.
bool wants_kills(const std::vector<std::string>& arguments) {
  return !arguments.empty() && (arguments[0] == "--kills" || arguments[0].starts_with("--kills="));
}

int run_kills(const std::vector<std::string>& arguments) {
  std::int64_t moments = 0;
  std::uint64_t seed = 1;
  std::string only;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::size_t equals = arguments[i].find('=');
    const std::string flag = arguments[i].substr(0, equals);
    csreft::require(equals != std::string::npos || i + 1 < arguments.size(), "{} has no value: expected one", flag);
    const std::string value = equals != std::string::npos ? arguments[i].substr(equals + 1) : arguments[++i];
    const auto number = csreft::parse_whole_number<std::int64_t>(value);
    if (flag == "--only") {
      only = value;
      continue;
    }
    csreft::require(flag == "--kills" || flag == "--seed",
                    "unknown argument '{}': expected --seed S or --only NAME beside --kills", flag);
    csreft::require(number.has_value() && *number >= 0, "{} {} is not possible: expected a whole number", flag, value);
    if (flag == "--kills") moments = *number;
    if (flag == "--seed") seed = static_cast<std::uint64_t>(*number);
  }
  const KillCounts counts = print_kill_table(moments, seed, only);
  return finish({counts.passed, counts.failed});
}

int run_golden_values(const std::string& directory) {
  Count count;
  run_golden(directory, [&](const GoldenResult& result) {
    ++(result.passed ? count.passed : count.failed);
    fmt::print("{} {}{}{}\n", result.passed ? "passed" : "FAILED", result.name, result.detail.empty() ? "" : ": ",
               result.detail);
    std::fflush(stdout);
  });
  return finish(count);
}

std::optional<Count> counted;

// Keeps doctest's counts, which it only prints.
struct Counter : doctest::IReporter {
  explicit Counter(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    counted = {stats.numTestCasesPassingFilters - stats.numTestCasesFailed, stats.numTestCasesFailed};
  }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

// doctest's flag for the suites, separated by commas, that the variable CSREFT_TESTS_LEFT_OUT names: the bundle sets it
// where a machine does not have what they need. Says so.
std::string left_out() {
  const char* suites = std::getenv("CSREFT_TESTS_LEFT_OUT");
  if (suites == nullptr || *suites == '\0') return {};
  fmt::print("left out: the tests that say '{}'\n", suites);
  return fmt::format("--test-suite-exclude={}", suites);
}

int run_tests(const char* program, const std::vector<std::string>& arguments) {
  doctest::registerReporter<Counter>("counter", 0, /*isReporter=*/false);
  std::vector<const char*> argv{program};
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  const std::string without = left_out();
  if (!without.empty()) argv.push_back(without.c_str());
  doctest::Context context(static_cast<int>(argv.size()), argv.data());
  // The cases of tests/cuda.
  if (cuda_backend() != "disabled" && test_device().type == csreft::DeviceType::cpu) {
    fmt::print("left out: the tests of a CUDA device, which run with --device\n");
    context.addFilter("test-case-exclude", "cuda:*");
  }
  const int code = context.run();
  if (!counted) return code;
  if (counted->passed + counted->failed == 0) {
    fmt::print(stderr, "error: no test was run: expected filters that a test passes\n");
    return 2;
  }
  return finish(*counted);
}

}  // namespace

int main(int argc, char** argv) {
  ::unsetenv("CSREFT_COMMAND");  // what tests read of commands to type is ./run's, whoever starts them
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    take_device(arguments);
    if (wants_kills(arguments)) return run_kills(arguments);
    const auto golden = parse_arguments(arguments);
    return golden ? run_golden_values(*golden) : run_tests(argv[0], arguments);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 2;
  }
}
