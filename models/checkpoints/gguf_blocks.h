// ggml's element types: how GGUF files store weights, and what floats they stand for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace csreft {

// The types that are read, with the numbers that GGUF gives them.
enum class GgmlType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  bf16 = 30,
};

// Elements are stored in blocks of this many elements and bytes; a row is a whole number of blocks.
struct GgmlBlock {
  std::int64_t elements;
  std::int64_t bytes;
};
GgmlBlock block_of(GgmlType type);

// The type of a number in a file, if it is one of those above.
std::optional<GgmlType> ggml_type(std::uint32_t number);
// "Q4_K" for 12; empty for a number that names no type.
std::string_view ggml_type_name(std::uint32_t number);

// Writes the values of whole blocks: `values` holds as many floats as the blocks have elements. In each block of 32,
// with d and m its half-precision scale and offset and q its small unsigned integers (nibble j of the low halves is
// element j, of the high halves element j + 16; Q5 keeps the fifth bits apart):
//   Q4_0: d (q - 8)   Q4_1: d q + m   Q5_0: d (q - 16)   Q5_1: d q + m   Q8_0: d q, q signed
// All products and sums are exact up to one rounding, so the result is ggml's to the bit.
void dequantize(GgmlType type, std::span<const std::byte> blocks, float* values);

}  // namespace csreft
