// Values as texts.
#pragma once

#include <optional>
#include <string>

#include "models/text/jinja/run.h"

namespace csreft::jinja {

// Python's json.dumps. Throws Error for what JSON cannot hold.
struct JsonStyle {
  bool ensure_ascii = false, sort_keys = false;
  std::optional<std::string> indent;
  std::string item_separator = ", ", key_separator = ": ";
};
std::string to_json(Run& run, const Value& value, const JsonStyle& style);

// Python's `format % values`.
std::string format_percent(Run& run, const std::string& format, const Value& values);

}  // namespace csreft::jinja
