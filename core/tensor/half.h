// IEEE half precision, as checkpoints store it: arithmetic is done in float.
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

// The half nearest to the float, the even one of two; infinity from 65520 on, and a quiet NaN for NaN.
inline std::uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U, size = bits & 0x7fffffffU;
  if (size > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);
  if (size >= 0x477ff000U) return static_cast<std::uint16_t>(sign | 0x7c00U);
  if (size < 0x38800000U) {
    // Below 2^-14 halves are multiples of 2^-24, the spacing of floats from 0.5 to 1: the sum rounds to one of them.
    const auto sum = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5F);
    return static_cast<std::uint16_t>(sign | (sum - 0x3f000000U));
  }
  // The exponent's bias falls by 112; 13 bits of the fraction go, rounded to the nearest, ties to even.
  const std::uint32_t odd = (size >> 13) & 1U;
  return static_cast<std::uint16_t>(sign | ((size - (112U << 23) + 0xfffU + odd) >> 13));
}

}  // namespace csreft
