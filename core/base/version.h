// Which programme this is.
#pragma once

#include <string_view>

namespace csreft {

// The project's version, as meson.build states it.
std::string_view program_version();
// The git commit that was built, "-changed" behind it where files had been changed since; "unknown" for a build from no
// checkout.
std::string_view program_commit();

}  // namespace csreft
