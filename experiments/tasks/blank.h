// Blanks in the texts of data.
#pragma once

#include <string_view>

namespace csreft {

inline constexpr std::string_view blanks = " \t\r\n\v\f";

inline bool is_blank(std::string_view text) { return text.find_first_not_of(blanks) == text.npos; }

}  // namespace csreft
