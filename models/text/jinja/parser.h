// Jinja's grammar, as far as chat templates use it.
#pragma once

#include <string_view>

#include "models/text/jinja/syntax.h"

namespace csreft::jinja {

// Throws Error, which names the line, for what jinja.h lists as missing, too.
Statements parse(std::string_view source);

}  // namespace csreft::jinja
