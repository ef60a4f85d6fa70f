// Jinja's grammar, as far as chat templates use it.
#pragma once

#include <string_view>

#include "models/text/jinja/syntax.h"

namespace csreft::jinja {

// Tags that reach outside of the template (include, import, extends, block), recursive loops, and `*` and `**` in front
// of arguments are not supported. Throws Error, which names the line.
Statements parse(std::string_view source);

}  // namespace csreft::jinja
