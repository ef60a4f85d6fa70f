#include "models/checkpoints/gguf_blocks.h"

#include <array>
#include <bit>
#include <cstring>

#include "core/tensor/dtype.h"
#include "core/tensor/half.h"

namespace csreft {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are little endian");

constexpr int block_size = 32;
// Adding it changes no value, not even the sign of zero.
constexpr float no_offset = -0.0F;

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

// Each decoder turns one block into values. Layouts: q4_0 {d, nibbles[16]}, q4_1 {d, m, nibbles[16]},
// q5_0 {d, fifth bits[4], nibbles[16]}, q5_1 {d, m, fifth bits[4], nibbles[16]}, q8_0 {d, int8[32]}.
float half_at(const std::byte* from) { return half_to_float(load<std::uint16_t>(from)); }

void decode_f32(const std::byte* block, float* values) { *values = load<float>(block); }
void decode_f16(const std::byte* block, float* values) { *values = half_at(block); }
void decode_bf16(const std::byte* block, float* values) { *values = static_cast<float>(load<bfloat16>(block)); }

// values = d * (q + shift) + m with 4-bit q.
void decode_nibbles(const std::byte* nibbles, int shift, float d, float m, float* values) {
  for (int j = 0; j < block_size / 2; ++j) {
    const int pair = std::to_integer<int>(nibbles[j]);
    values[j] = static_cast<float>((pair & 15) + shift) * d + m;
    values[j + block_size / 2] = static_cast<float>((pair >> 4) + shift) * d + m;
  }
}

// The same with the fifth bit of element j in bit j of `fifth`.
void decode_five_bits(const std::byte* nibbles, std::uint32_t fifth, int shift, float d, float m, float* values) {
  for (int j = 0; j < block_size / 2; ++j) {
    const int pair = std::to_integer<int>(nibbles[j]);
    const int low = (pair & 15) | static_cast<int>((fifth >> j) & 1U) << 4;
    const int high = (pair >> 4) | static_cast<int>((fifth >> (j + block_size / 2)) & 1U) << 4;
    values[j] = static_cast<float>(low + shift) * d + m;
    values[j + block_size / 2] = static_cast<float>(high + shift) * d + m;
  }
}

void decode_q4_0(const std::byte* block, float* values) {
  decode_nibbles(block + 2, -8, half_at(block), no_offset, values);
}

void decode_q4_1(const std::byte* block, float* values) {
  decode_nibbles(block + 4, 0, half_at(block), half_at(block + 2), values);
}

void decode_q5_0(const std::byte* block, float* values) {
  decode_five_bits(block + 6, load<std::uint32_t>(block + 2), -16, half_at(block), no_offset, values);
}

void decode_q5_1(const std::byte* block, float* values) {
  decode_five_bits(block + 8, load<std::uint32_t>(block + 4), 0, half_at(block), half_at(block + 2), values);
}

void decode_q8_0(const std::byte* block, float* values) {
  const float d = half_at(block);
  for (int j = 0; j < block_size; ++j) values[j] = static_cast<float>(load<std::int8_t>(block + 2 + j)) * d;
}

template <void (*decode)(const std::byte*, float*)>
void decode_all(std::span<const std::byte> blocks, GgmlBlock block, float* values) {
  for (std::size_t at = 0; at < blocks.size(); at += static_cast<std::size_t>(block.bytes)) {
    decode(blocks.data() + at, values);
    values += block.elements;
  }
}

}  // namespace

GgmlBlock block_of(GgmlType type) {
  switch (type) {
    case GgmlType::f32: return {1, 4};
    case GgmlType::f16: return {1, 2};
    case GgmlType::bf16: return {1, 2};
    case GgmlType::q4_0: return {block_size, 18};
    case GgmlType::q4_1: return {block_size, 20};
    case GgmlType::q5_0: return {block_size, 22};
    case GgmlType::q5_1: return {block_size, 24};
    case GgmlType::q8_0: return {block_size, 34};
  }
  fail("{} is no type of GGUF elements", static_cast<std::uint32_t>(type));
}

std::optional<GgmlType> ggml_type(std::uint32_t number) {
  switch (static_cast<GgmlType>(number)) {
    case GgmlType::f32:
    case GgmlType::f16:
    case GgmlType::q4_0:
    case GgmlType::q4_1:
    case GgmlType::q5_0:
    case GgmlType::q5_1:
    case GgmlType::q8_0:
    case GgmlType::bf16: return static_cast<GgmlType>(number);
  }
  return std::nullopt;
}

std::string_view ggml_type_name(std::uint32_t number) {
  static constexpr std::array<std::string_view, 42> names{
      "F32",   "F16",    "Q4_0",  "Q4_1", "",     "",        "Q5_0",   "Q5_1",    "Q8_0",  "Q8_1",   "Q2_K",
      "Q3_K",  "Q4_K",   "Q5_K",  "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S",
      "IQ2_S", "IQ4_XS", "I8",    "I16",  "I32",  "I64",     "F64",    "IQ1_M",   "BF16",  "",       "",
      "",      "TQ1_0",  "TQ2_0", "",     "",     "",        "MXFP4",  "NVFP4",   "Q1_0"};
  return number < names.size() ? names[number] : "";
}

void dequantize(GgmlType type, std::span<const std::byte> blocks, float* values) {
  const auto block = block_of(type);
  switch (type) {
    case GgmlType::f32: return decode_all<decode_f32>(blocks, block, values);
    case GgmlType::f16: return decode_all<decode_f16>(blocks, block, values);
    case GgmlType::bf16: return decode_all<decode_bf16>(blocks, block, values);
    case GgmlType::q4_0: return decode_all<decode_q4_0>(blocks, block, values);
    case GgmlType::q4_1: return decode_all<decode_q4_1>(blocks, block, values);
    case GgmlType::q5_0: return decode_all<decode_q5_0>(blocks, block, values);
    case GgmlType::q5_1: return decode_all<decode_q5_1>(blocks, block, values);
    case GgmlType::q8_0: return decode_all<decode_q8_0>(blocks, block, values);
  }
}

}  // namespace csreft
