// What the decoders of GGUF's blocks share.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/tensor/half.h"

namespace csreft {

static_assert(std::endian::native == std::endian::little, "GGUF files are little endian");

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

inline float half_at(const std::byte* from) { return half_to_float(load<std::uint16_t>(from)); }

// values = scale t[q] for 32 integers of IQ4_NL and IQ4_XS: nibble i of the low halves is element i, of the high halves
// element i + 16.
inline void decode_iq4_group(const std::byte* nibbles, float scale, float* values) {
  constexpr float table[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  float scaled[16];
#pragma omp simd
  for (int i = 0; i < 16; ++i) scaled[i] = scale * table[i];
  for (int i = 0; i < 16; ++i) {
    const auto pair = std::to_integer<unsigned>(nibbles[i]);
    values[i] = scaled[pair & 15U];
    values[i + 16] = scaled[pair >> 4];
  }
}

// Decodes blocks of this many elements and bytes, one by one.
template <void (*decode)(const std::byte*, float*), std::int64_t elements, std::int64_t bytes>
void decode_all(const std::byte* blocks, std::int64_t n_blocks, float* values) {
  for (std::int64_t n = 0; n < n_blocks; ++n) decode(blocks + n * bytes, values + n * elements);
}

}  // namespace csreft
