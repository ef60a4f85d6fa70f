// The scales and offsets of ggml's Q4_K and Q5_K blocks: eight of each, six bits wide, in twelve bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace csreft {

struct ScaleAndOffset {
  int scale, offset;
};

// Of part j of 8. Of the first four parts they are the low six bits of bytes j and j + 4; of the others their low four
// bits share byte j + 4, and their high two are the high ones of bytes j - 4 and j.
inline ScaleAndOffset six_bit_scale_and_offset(const std::byte* bytes, std::int64_t j) {
  const auto byte = [&](std::int64_t i) { return std::to_integer<int>(bytes[i]); };
  if (j < 4) return {byte(j) & 63, byte(j + 4) & 63};
  return {(byte(j + 4) & 15) | byte(j - 4) >> 6 << 4, byte(j + 4) >> 4 | byte(j) >> 6 << 4};
}

}  // namespace csreft
