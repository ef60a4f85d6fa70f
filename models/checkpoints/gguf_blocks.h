// ggml's element types: how GGUF files store weights, and what floats they stand for.
#pragma once

#include <cstddef>
#include <cstdint>
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
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  q8_k = 15,
  iq4_nl = 20,
  iq4_xs = 23,
  f64 = 28,
  bf16 = 30,
};

// Elements are stored in blocks of this many elements and bytes; a row is a whole number of blocks.
struct GgmlBlock {
  std::int64_t elements;
  std::int64_t bytes;
};

struct GgmlFormat {
  std::uint32_t number;
  std::string_view name;  // "Q4_K"
  GgmlBlock block{};
  // Writes the floats of `n_blocks` blocks that follow each other. Null for a type that is known by name alone.
  void (*decode)(const std::byte* blocks, std::int64_t n_blocks, float* values) = nullptr;
};

// Every type of ggml, by number.
std::span<const GgmlFormat> ggml_formats();
// The type of a number in a file; null if there is none.
const GgmlFormat* find_ggml_format(std::uint32_t number);
GgmlBlock block_of(GgmlType type);

// Writes the values of a row, of a part of one that starts at a block, or of rows that follow each other: n_values is a
// multiple of the block's elements. With d and m a block's scale and offset in half precision, q its small unsigned
// integers, and s_g and m_g the small scales and offsets of its groups of 16 or 32 values:
//   blocks of 32:   Q4_0 d (q - 8)   Q4_1 d q + m   Q5_0 d (q - 16)   Q5_1 d q + m   Q8_0 d q, q signed
//                   IQ4_NL d t[q], t a table of 16 integers
//   blocks of 256:  Q2_K, Q4_K, Q5_K d s_g q - m m_g   Q3_K d s_g (q - 4)   Q6_K d s_g (q - 32)   IQ4_XS d s_g t[q]
//                   Q8_K d q, q signed, d a float
// The product d s_g q is exact in a float, so every value is rounded once at most and is ggml's to the bit (where d and
// m are both NaN, the value may have the bits of either). F64 is rounded to float.
void decode_rows(GgmlType type, const std::byte* blocks, std::int64_t n_values, float* values);

}  // namespace csreft
