// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011) and what is made of its words: one
// definition for the host and for kernels, which must draw the same.
#pragma once

#include <cstdint>

#include "core/tensor/host_device.h"

namespace csreft {

struct PhiloxBlock {
  std::uint32_t words[4];
};

// The words of block `counter` of the stream named by (seed, stream).
CSREFT_HOST_DEVICE inline PhiloxBlock philox_block(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  // Multipliers and Weyl constants of Philox4x32, table 2 of the paper.
  constexpr std::uint32_t multiplier_0 = 0xD2511F53, multiplier_1 = 0xCD9E8D57;
  constexpr std::uint32_t weyl_0 = 0x9E3779B9, weyl_1 = 0xBB67AE85;
  auto c0 = static_cast<std::uint32_t>(counter), c1 = static_cast<std::uint32_t>(counter >> 32U);
  auto c2 = static_cast<std::uint32_t>(stream), c3 = static_cast<std::uint32_t>(stream >> 32U);
  auto key_0 = static_cast<std::uint32_t>(seed), key_1 = static_cast<std::uint32_t>(seed >> 32U);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product_0 = std::uint64_t{multiplier_0} * c0, product_1 = std::uint64_t{multiplier_1} * c2;
    c0 = static_cast<std::uint32_t>(product_1 >> 32U) ^ c1 ^ key_0;
    c1 = static_cast<std::uint32_t>(product_1);
    c2 = static_cast<std::uint32_t>(product_0 >> 32U) ^ c3 ^ key_1;
    c3 = static_cast<std::uint32_t>(product_0);
    key_0 += weyl_0;
    key_1 += weyl_1;
  }
  return {{c0, c1, c2, c3}};
}

// Word `index` of the stream.
CSREFT_HOST_DEVICE inline std::uint32_t philox_word(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return philox_block(seed, stream, index / 4).words[index % 4];
}

// [0, 1), the upper 24 bits.
CSREFT_HOST_DEVICE inline double uniform_of(std::uint32_t word) { return (word >> 8U) * 0x1p-24; }

// (0, 1]: the logarithm of it is finite.
CSREFT_HOST_DEVICE inline double positive_uniform_of(std::uint32_t word) {
  return (static_cast<double>(word) + 1.0) * 0x1p-32;
}

// (0, 1): the logarithm of it is finite and not 0.
CSREFT_HOST_DEVICE inline double open_uniform_of(std::uint32_t word) {
  return (static_cast<double>(word) + 0.5) * 0x1p-32;
}

}  // namespace csreft
