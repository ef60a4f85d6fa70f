// Whole numbers from text that may be wrong.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace csreft {

// The number that the whole of `text` spells, with nothing before or after it; none if it spells none, or one that
// Integer does not hold.
template <typename Integer>
std::optional<Integer> parse_whole_number(std::string_view text, int base = 10) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace csreft
