#include "models/checkpoints/gguf_k_blocks.h"

#include "core/tensor/six_bit_scales.h"
#include "models/checkpoints/gguf_block_decoding.h"

namespace csreft {
namespace {

constexpr int superblock_size = 256;
// Bits of this many elements lie in as many bytes, which other runs share.
constexpr int run_size = 32;
// Subtracting it changes no value, not even the sign of zero.
constexpr float no_minimum = 0.0F;

int integer(std::byte byte) { return std::to_integer<int>(byte); }

// values = scale q - offset, for a group of n.
template <int n>
void write_group(const std::int8_t* q, float scale, float offset, float* values) {
#pragma omp simd
  for (int i = 0; i < n; ++i) values[i] = scale * static_cast<float>(q[i]) - offset;
}

// The bits of a run's bytes from `shift` on, as many as `mask` has.
void unpack(const std::byte* bytes, int shift, int mask, std::int8_t* q) {
#pragma omp simd
  for (int i = 0; i < run_size; ++i) q[i] = static_cast<std::int8_t>((integer(bytes[i]) >> shift) & mask);
}

// q = (q | those bits << place) - zero.
void add_bits(const std::byte* bytes, int shift, int mask, int place, int zero, std::int8_t* q) {
#pragma omp simd
  for (int i = 0; i < run_size; ++i) {
    q[i] = static_cast<std::int8_t>((q[i] | ((integer(bytes[i]) >> shift) & mask) << place) - zero);
  }
}

// 32 bytes hold two bits of element i of each of four runs of 32, the lowest bits of the first run.
void unpack_pairs(const std::byte* bytes, std::int8_t* q) {
  for (int run = 0; run < superblock_size / 32; ++run) unpack(bytes + run / 4 * 32, run % 4 * 2, 3, q + run * 32);
}

// 32 bytes hold four bits of element i of two runs of 32, the lower ones of the first run.
void unpack_nibbles(const std::byte* bytes, std::int8_t* q) {
  for (int run = 0; run < superblock_size / 32; ++run) unpack(bytes + run / 2 * 32, run % 2 * 4, 15, q + run * 32);
}

// The groups of Q4_K and Q5_K, whose blocks begin alike.
void write_eight_groups(const std::byte* block, const std::int8_t* q, float* values) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int g = 0; g < 8; ++g) {
    const auto [scale, offset] = six_bit_scale_and_offset(block + 4, g);
    write_group<32>(q + 32 * g, d * static_cast<float>(scale), m * static_cast<float>(offset), values + 32 * g);
  }
}

}  // namespace

void decode_q2_k(const std::byte* block, float* values) {
  const float d = half_at(block + 80), m = half_at(block + 82);
  std::int8_t q[superblock_size];
  unpack_pairs(block + 16, q);
  for (int g = 0; g < 16; ++g) {
    const int both = integer(block[g]);
    write_group<16>(q + 16 * g, d * static_cast<float>(both & 15), m * static_cast<float>(both >> 4), values + 16 * g);
  }
}

void decode_q3_k(const std::byte* block, float* values) {
  const std::byte* scales = block + 96;
  const float d = half_at(block + 108);
  std::int8_t q[superblock_size];
  unpack_pairs(block + 32, q);
  for (int run = 0; run < 8; ++run) add_bits(block, run, 1, 2, 4, q + 32 * run);
  for (int g = 0; g < 16; ++g) {
    const int low = (integer(scales[g % 8]) >> (g / 8 * 4)) & 15;
    const int high = (integer(scales[8 + g % 4]) >> (g / 4 * 2)) & 3;
    write_group<16>(q + 16 * g, d * static_cast<float>((low | high << 4) - 32), no_minimum, values + 16 * g);
  }
}

void decode_q4_k(const std::byte* block, float* values) {
  std::int8_t q[superblock_size];
  unpack_nibbles(block + 16, q);
  write_eight_groups(block, q, values);
}

void decode_q5_k(const std::byte* block, float* values) {
  std::int8_t q[superblock_size];
  unpack_nibbles(block + 48, q);
  for (int run = 0; run < 8; ++run) add_bits(block + 16, run, 1, 4, 0, q + 32 * run);
  write_eight_groups(block, q, values);
}

void decode_q6_k(const std::byte* block, float* values) {
  const float d = half_at(block + 208);
  std::int8_t q[superblock_size];
  // Of each half, 64 bytes hold the low four bits: those of runs 0 and 1 in their lower halves, of 2 and 3 in the
  // upper.
  for (int run = 0; run < 8; ++run) {
    const int half = run / 4, within = run % 4;
    unpack(block + half * 64 + within % 2 * 32, within / 2 * 4, 15, q + 32 * run);
    add_bits(block + 128 + half * 32, within * 2, 3, 4, 32, q + 32 * run);
  }
  for (int g = 0; g < 16; ++g) {
    const auto scale = static_cast<float>(load<std::int8_t>(block + 192 + g));
    write_group<16>(q + 16 * g, d * scale, no_minimum, values + 16 * g);
  }
}

void decode_q8_k(const std::byte* block, float* values) {
  std::int8_t q[superblock_size];
  std::memcpy(q, block + 4, superblock_size);
  write_group<superblock_size>(q, load<float>(block), no_minimum, values);
}

void decode_iq4_xs(const std::byte* block, float* values) {
  const float d = half_at(block);
  const int high = load<std::uint16_t>(block + 2);
  for (int g = 0; g < 8; ++g) {
    const int low = (integer(block[4 + g / 2]) >> (g % 2 * 4)) & 15;
    const int scale = (low | ((high >> (2 * g)) & 3) << 4) - 32;
    decode_iq4_group(block + 8 + 16 * g, d * static_cast<float>(scale), values + 32 * g);
  }
}

}  // namespace csreft
