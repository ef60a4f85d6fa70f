// Text in parts.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

namespace csreft {

// What separates the elements of a list in text.
inline constexpr std::string_view list_separators = ",;";

// The parts of `text` between characters of `separators`, which may be empty: "a,,b" has three, and "" has one. They
// are views of the text.
inline std::vector<std::string_view> split(std::string_view text, std::string_view separators = list_separators) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace csreft
