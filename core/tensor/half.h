// IEEE half precision, as checkpoints store it: read only, arithmetic is done in float.
#pragma once

#include <bit>
#include <cstdint>

namespace csreft {

// The float equal to the half of these 16 bits (1 sign, 5 exponent, 10 fraction); every half is one. NaN keeps its
// bits.
inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fU;
  const std::uint32_t fraction = half & 0x3ffU;
  // Below 2^-14 the fraction counts in steps of 2^-24; the other exponents are biased by 15, a float's by 127.
  const auto subnormal = std::bit_cast<std::uint32_t>(static_cast<float>(fraction) * 0x1p-24F);
  const std::uint32_t normal = ((exponent == 0x1fU ? 0xffU : exponent + 112U) << 23) | (fraction << 13);
  return std::bit_cast<float>(sign | (exponent == 0 ? subnormal : normal));
}

}  // namespace csreft
