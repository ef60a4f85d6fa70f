// Element types of tensors.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "core/base/error.h"

namespace csreft {

// The upper half of an IEEE float: 8 bits of exponent, 7 of fraction. Storage only: arithmetic is done in float.
struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  // Rounds to nearest, ties to even; NaN stays NaN.
  explicit bfloat16(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const bool nan = (u & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40U : (u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

enum class DType { f32, bf16, f64, i32 };

template <typename T>
constexpr DType dtype_of() {
  using U = std::remove_cv_t<T>;
  static_assert(std::is_same_v<U, float> || std::is_same_v<U, bfloat16> || std::is_same_v<U, double> ||
                    std::is_same_v<U, std::int32_t>,
                "tensors hold float, bfloat16, double or int32_t");
  if constexpr (std::is_same_v<U, float>) return DType::f32;
  if constexpr (std::is_same_v<U, bfloat16>) return DType::bf16;
  if constexpr (std::is_same_v<U, double>) return DType::f64;
  return DType::i32;
}

constexpr std::size_t size_of(DType type) {
  switch (type) {
    case DType::bf16: return 2;
    case DType::f64: return 8;
    default: return 4;
  }
}

constexpr std::string_view name_of(DType type) {
  switch (type) {
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f64: return "f64";
    default: return "i32";
  }
}

// Calls f with a value of the C++ type that `type` (f32 or f64) names: the one switch from a run-time element type to
// a template. Throws Error, naming `what`, for the types in which the project does no arithmetic.
template <typename F>
decltype(auto) visit_real(DType type, std::string_view what, F&& f) {
  switch (type) {
    case DType::f32: return f(float{});
    case DType::f64: return f(double{});
    default: fail("{} is not defined for {} tensors: expected f32 or f64", what, name_of(type));
  }
}

}  // namespace csreft
