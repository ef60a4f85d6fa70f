// Another programme, run to its end or to a deadline.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace csreft {

struct ChildOptions {
  std::filesystem::path folder{};    // where it runs; empty: here
  std::string input{};               // its standard input
  std::filesystem::path out_file{};  // where its standard output goes; empty: ChildResult::output
  bool errors_apart = false;         // its standard error becomes ChildResult::errors, not a part of its output
  std::size_t largest_file = 0;      // bytes that a file may grow to, as on a disk that fills up; 0: no limit
  std::size_t address_space = 0;     // bytes of memory that it may map; 0: no limit
  bool own_group = false;            // it leads a new process group
  bool signal_group = false;         // `signal` goes to all of that
  bool ends_with_parent = false;     // it gets SIGTERM when the thread that started it ends
  int signal = 0;                    // sent to it once, if it runs that long; 0: none
  double signal_after = 0.0;         // seconds
  double seconds = std::numeric_limits<double>::infinity();  // it is killed after that
  std::function<bool()> stop{};                              // asked all the while: it is killed when that is true
  std::function<bool()> terminate{};                         // the same, but SIGTERM asks it to end by itself, once
};

struct ChildResult {
  int code = 0;            // of exit; 128 + N if signal N ended it
  bool timed_out = false;  // it took longer than it may, and was killed
  int process = 0;         // its number
  std::string output;      // its standard output, and its errors where they came unless they are apart
  std::string errors;
};

// Runs arguments[0], a path, with the others. Throws Error where it cannot be started.
ChildResult run_child(const std::vector<std::string>& arguments, const ChildOptions& options = {});

// Where the shell would find a programme, or `more` folders after those of PATH have it; nothing if it is nowhere.
std::optional<std::filesystem::path> find_program(std::string_view name,
                                                  std::span<const std::filesystem::path> more = {});
bool is_program(const std::filesystem::path& file);

}  // namespace csreft
