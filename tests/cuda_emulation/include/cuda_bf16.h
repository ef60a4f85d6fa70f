// bf16 in device code: CUDA's type and conversions, rounded to nearest, ties to even.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include <cuda_runtime.h>

namespace csreft::emulation {

constexpr std::uint16_t bf16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (x != x) return 0x7fff;  // CUDA's NaN
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}
// Rounded once: towards the neighbour with an odd last bit first, so that the second rounding sees what was cut off.
inline std::uint16_t bf16_bits(double x) {
  const float f = static_cast<float>(x);
  if (x != x || static_cast<double>(f) == x || !std::isfinite(f)) return bf16_bits(f);
  const float toward_zero = std::abs(static_cast<double>(f)) > std::abs(x) ? std::nextafter(f, 0.0F) : f;
  return bf16_bits(std::bit_cast<float>(std::bit_cast<std::uint32_t>(toward_zero) | 1U));
}

}  // namespace csreft::emulation

struct alignas(2) __nv_bfloat16 {
  __nv_bfloat16() = default;
  constexpr __nv_bfloat16(float x) : bits(csreft::emulation::bf16_bits(x)) {}
  __nv_bfloat16(double x) : bits(csreft::emulation::bf16_bits(x)) {}
  constexpr __nv_bfloat16(int x) : __nv_bfloat16(static_cast<float>(x)) {}
  constexpr operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

  std::uint16_t bits;
};

struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
inline __nv_bfloat16 __double2bfloat16(double x) { return x; }
inline float __bfloat162float(__nv_bfloat16 x) { return x; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 v) { return {v.x, v.y}; }
inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {v.x, v.y}; }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
inline float __low2float(__nv_bfloat162 v) { return v.x; }
inline float __high2float(__nv_bfloat162 v) { return v.y; }
inline __nv_bfloat16 __ushort_as_bfloat16(std::uint16_t bits) { return std::bit_cast<__nv_bfloat16>(bits); }
inline std::uint16_t __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
