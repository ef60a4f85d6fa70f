// The one error type of the project, and the one place where its text is formatted.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace csreft {

// Something the user can mend: a bad file, flag, shape or value. The text says what is wrong, where, and what was
// expected; the command line prints it as `error: TEXT` and exits with code 2.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws Error with the formatted text.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

// Throws Error with the formatted text unless `condition` holds. The arguments are evaluated either way.
template <typename... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(format, std::forward<Args>(args)...);
}

}  // namespace csreft
