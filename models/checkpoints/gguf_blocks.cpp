#include "models/checkpoints/gguf_blocks.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/tensor/dtype.h"
#include "models/checkpoints/gguf_block_decoding.h"
#include "models/checkpoints/gguf_k_blocks.h"

namespace csreft {
namespace {

constexpr int block_size = 32;
// Adding it changes no value, not even the sign of zero.
constexpr float no_offset = -0.0F;

// Plain numbers: blocks of one value.
template <typename T, float (*convert)(const std::byte*)>
void decode_numbers(const std::byte* from, std::int64_t n, float* values) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) values[i] = convert(from + i * static_cast<std::int64_t>(sizeof(T)));
}

template <typename T>
float as_float(const std::byte* from) {
  return static_cast<float>(load<T>(from));
}

// Each of the others turns one block into values. Layouts: q4_0 {d, nibbles[16]}, q4_1 {d, m, nibbles[16]},
// q5_0 {d, fifth bits[4], nibbles[16]}, q5_1 {d, m, fifth bits[4], nibbles[16]}, q8_0 {d, int8[32]},
// iq4_nl {d, nibbles[16]}. Nibble j of the low halves is element j, of the high halves element j + 16.

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

void decode_iq4_nl(const std::byte* block, float* values) { decode_iq4_group(block + 2, half_at(block), values); }

constexpr std::array formats{
    GgmlFormat{0, "F32", {1, 4}, decode_numbers<float, as_float<float>>},
    GgmlFormat{1, "F16", {1, 2}, decode_numbers<std::uint16_t, half_at>},
    GgmlFormat{2, "Q4_0", {32, 18}, decode_all<decode_q4_0, 32, 18>},
    GgmlFormat{3, "Q4_1", {32, 20}, decode_all<decode_q4_1, 32, 20>},
    GgmlFormat{6, "Q5_0", {32, 22}, decode_all<decode_q5_0, 32, 22>},
    GgmlFormat{7, "Q5_1", {32, 24}, decode_all<decode_q5_1, 32, 24>},
    GgmlFormat{8, "Q8_0", {32, 34}, decode_all<decode_q8_0, 32, 34>},
    GgmlFormat{9, "Q8_1"},
    GgmlFormat{10, "Q2_K", {256, 84}, decode_all<decode_q2_k, 256, 84>},
    GgmlFormat{11, "Q3_K", {256, 110}, decode_all<decode_q3_k, 256, 110>},
    GgmlFormat{12, "Q4_K", {256, 144}, decode_all<decode_q4_k, 256, 144>},
    GgmlFormat{13, "Q5_K", {256, 176}, decode_all<decode_q5_k, 256, 176>},
    GgmlFormat{14, "Q6_K", {256, 210}, decode_all<decode_q6_k, 256, 210>},
    GgmlFormat{15, "Q8_K", {256, 292}, decode_all<decode_q8_k, 256, 292>},
    GgmlFormat{16, "IQ2_XXS"},
    GgmlFormat{17, "IQ2_XS"},
    GgmlFormat{18, "IQ3_XXS"},
    GgmlFormat{19, "IQ1_S"},
    GgmlFormat{20, "IQ4_NL", {32, 18}, decode_all<decode_iq4_nl, 32, 18>},
    GgmlFormat{21, "IQ3_S"},
    GgmlFormat{22, "IQ2_S"},
    GgmlFormat{23, "IQ4_XS", {256, 136}, decode_all<decode_iq4_xs, 256, 136>},
    GgmlFormat{24, "I8"},
    GgmlFormat{25, "I16"},
    GgmlFormat{26, "I32"},
    GgmlFormat{27, "I64"},
    GgmlFormat{28, "F64", {1, 8}, decode_numbers<double, as_float<double>>},
    GgmlFormat{29, "IQ1_M"},
    GgmlFormat{30, "BF16", {1, 2}, decode_numbers<bfloat16, as_float<bfloat16>>},
    GgmlFormat{34, "TQ1_0"},
    GgmlFormat{35, "TQ2_0"},
    GgmlFormat{39, "MXFP4"},
    GgmlFormat{40, "NVFP4"},
    GgmlFormat{41, "Q1_0"},
};

const GgmlFormat& format_of(GgmlType type) {
  const auto* format = find_ggml_format(static_cast<std::uint32_t>(type));
  require(format != nullptr && format->decode != nullptr, "{} is no type of GGUF elements: expected one of GgmlType",
          static_cast<std::uint32_t>(type));
  return *format;
}

}  // namespace

std::span<const GgmlFormat> ggml_formats() { return formats; }

const GgmlFormat* find_ggml_format(std::uint32_t number) {
  const auto found = std::ranges::find(formats, number, &GgmlFormat::number);
  return found == formats.end() ? nullptr : &*found;
}

GgmlBlock block_of(GgmlType type) { return format_of(type).block; }

void decode_rows(GgmlType type, const std::byte* blocks, std::int64_t n_values, float* values) {
  const GgmlFormat& format = format_of(type);
  format.decode(blocks, n_values / format.block.elements, values);
}

}  // namespace csreft
