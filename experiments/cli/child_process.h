// Another programme, run to its end or to a deadline.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace csreft {

struct ChildResult {
  int code = 0;            // of exit; 128 + N if signal N ended it
  bool timed_out = false;  // it took longer than it may, and was killed
  std::string output;      // its standard output, and its errors where they came
};

// Runs arguments[0], a path, with the others; its input is empty. When a signal arrives (progress.h), it is ended too.
// Throws Error where no process can be started.
ChildResult run_child(const std::vector<std::string>& arguments, double seconds);

// Where the shell would find a programme, or `more` folders after those of PATH have it; nothing if it is nowhere.
std::optional<std::filesystem::path> find_program(std::string_view name,
                                                  std::span<const std::filesystem::path> more = {});
bool is_program(const std::filesystem::path& file);

}  // namespace csreft
