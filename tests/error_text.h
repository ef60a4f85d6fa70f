// What a call complains about.
#pragma once

#include <string>

#include "core/base/error.h"

// The text of the Error that f() throws; "" if it returns. Other exceptions pass through and fail the test.
template <typename F>
std::string error_text(F&& f) {
  try {
    static_cast<void>(f());
  } catch (const csreft::Error& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
