// Texts with places for values.
#pragma once

#include <string>

#include "models/text/jinja/run.h"

namespace csreft::jinja {

// Python's `format % values`.
std::string format_percent(Run& run, const std::string& format, const Value& values);

}  // namespace csreft::jinja
