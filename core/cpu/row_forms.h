// The encodings of stored rows (core/tensor/stored_matrix.h) that are multiplied as they are: 32 elements at a time
// become four vectors of eight floats, each the float that decoding gives. A form whose vectors do not have the order
// of the row says in element_at(place) which element of the 32 lies at a place of theirs.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "core/tensor/half.h"
#include "core/tensor/six_bit_scales.h"

namespace csreft::cpu {

// GCC's vectors: the processor's own where it has them, scalars elsewhere. Without AVX they pass as other compilers'
// do not, of which GCC warns; none is passed beyond a file.
#pragma GCC diagnostic ignored "-Wpsabi"
inline constexpr std::int64_t lanes = 8;
using Floats = float __attribute__((vector_size(32)));
using Ints = std::int32_t __attribute__((vector_size(32)));
using Words = std::uint32_t __attribute__((vector_size(32)));
using HalfWords = std::uint16_t __attribute__((vector_size(16)));

// Elements that a form decodes at once, and their vectors.
inline constexpr std::int64_t step = 32;
using Step = std::array<Floats, step / lanes>;

template <typename T>
T load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

inline float sum_of(const Floats& v) { return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7])); }

inline Floats splat(float value) { return value - Floats{}; }

inline float half(const std::byte* from) {
#ifdef __F16C__
  return _cvtsh_ss(load<std::uint16_t>(from));
#else
  return half_to_float(load<std::uint16_t>(from));
#endif
}

// A form: the four vectors of the 32 elements from `begin` on of a row. Where these do not have the order of the row,
// element_at(place) says which of the 32 lies at a place of theirs; where rows may have other lengths than multiples of
// 32, element(row, i) is one by itself.

template <typename Load>
Step step_of(const Load& vector) {
  Step w;
  for (std::size_t v = 0; v < w.size(); ++v) w[v] = vector(v);
  return w;
}

struct Bf16Form {
  static Step decode(const std::byte* row, std::int64_t begin) {
    return step_of([from = row + 2 * begin](std::size_t v) {
      return std::bit_cast<Floats>(__builtin_convertvector(load<HalfWords>(from + 16 * v), Words) << 16U);
    });
  }
  static float element(const std::byte* row, std::int64_t i) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(load<std::uint16_t>(row + 2 * i)) << 16U);
  }
};

struct F16Form {
  static Step decode(const std::byte* row, std::int64_t begin) {
    return step_of([from = row + 2 * begin](std::size_t v) {
#ifdef __F16C__
      return std::bit_cast<Floats>(_mm256_cvtph_ps(load<__m128i>(from + 16 * v)));
#else
      Floats w;
      for (std::size_t i = 0; i < lanes; ++i) w[i] = half(from + 16 * v + 2 * i);
      return w;
#endif
    });
  }
  static float element(const std::byte* row, std::int64_t i) { return half(row + 2 * i); }
};

// Lane 2 b of vector v is element 4 v + b of the block, lane 2 b + 1 element 16 + 4 v + b: a vector's eight halves of
// bytes lie in one word, which is broadcast and shifted.
struct HalvesOfBytes {
  static constexpr std::int64_t element_at(std::int64_t place) {
    return place / lanes * 4 + place % lanes / 2 + place % 2 * (step / 2);
  }
  static Ints read(const std::byte* bytes, std::size_t v) {
    constexpr Words shifts{0, 4, 8, 12, 16, 20, 24, 28};
    const Words word = load<std::uint32_t>(bytes + 4 * v) - Words{};
    return std::bit_cast<Ints>(word >> shifts & 15U);
  }
};

struct Q40Form : HalvesOfBytes {
  static Step decode(const std::byte* row, std::int64_t begin) {
    const std::byte* block = row + begin / step * 18;
    return step_of([block, d = splat(half(block))](std::size_t v) {
      return __builtin_convertvector(read(block + 2, v) - 8, Floats) * d;
    });
  }
};

struct Q41Form : HalvesOfBytes {
  static Step decode(const std::byte* row, std::int64_t begin) {
    const std::byte* block = row + begin / step * 20;
    return step_of([block, d = splat(half(block)), m = splat(half(block + 2))](std::size_t v) {
      return __builtin_convertvector(read(block + 4, v), Floats) * d + m;
    });
  }
};

// Lane i of vector v is element 4 i + v: 32 bytes are read as eight words, one a lane.
struct WholeBytes {
  static constexpr std::int64_t element_at(std::int64_t place) { return place % lanes * 4 + place / lanes; }
  // `bits` bits of each byte from its bit `first` on.
  static Ints read(const Words& words, std::size_t v, std::uint32_t first, std::uint32_t bits) {
    return std::bit_cast<Ints>(words >> (8 * static_cast<std::uint32_t>(v) + first) & ((1U << bits) - 1));
  }
};

struct Q80Form : WholeBytes {
  static Step decode(const std::byte* row, std::int64_t begin) {
    const std::byte* block = row + begin / step * 34;
    return step_of([words = load<Words>(block + 2), d = splat(half(block))](std::size_t v) {
      const Ints q = std::bit_cast<Ints>(words << (24 - 8 * static_cast<std::uint32_t>(v))) >> 24;
      return __builtin_convertvector(q, Floats) * d;
    });
  }
};

// Q4_K and, with a fifth bit of each element in 32 bytes before the others', Q5_K.
template <bool has_fifth_bit>
struct FourBitKForm : WholeBytes {
  static Step decode(const std::byte* row, std::int64_t begin) {
    const std::byte* block = row + begin / 256 * (has_fifth_bit ? 176 : 144);
    const std::int64_t part = begin % 256 / step;
    const auto [scale, offset] = six_bit_scale_and_offset(block + 4, part);
    const Floats d = splat(half(block) * static_cast<float>(scale));
    const Floats m = splat(half(block + 2) * static_cast<float>(offset));
    const auto words = load<Words>(block + (has_fifth_bit ? 48 : 16) + part / 2 * step);
    const auto first = static_cast<std::uint32_t>(4 * (part % 2));
    return step_of([&](std::size_t v) {
      Ints q = read(words, v, first, 4);
      if constexpr (has_fifth_bit) q |= read(load<Words>(block + 16), v, static_cast<std::uint32_t>(part), 1) << 4;
      return __builtin_convertvector(q, Floats) * d - m;
    });
  }
};
using Q4KForm = FourBitKForm<false>;
using Q5KForm = FourBitKForm<true>;

struct Q6KForm : WholeBytes {
  // Parts 4 h to 4 h + 3 lie in the h-th half of each kind of bytes.
  static Step decode(const std::byte* row, std::int64_t begin) {
    const std::byte* block = row + begin / 256 * 210;
    const std::int64_t part = begin % 256 / step, h = part / 4, quarter = part % 4;
    const float d = half(block + 208);
    const auto scale = [&](std::int64_t i) { return d * static_cast<float>(load<std::int8_t>(block + 192 + i)); };
    const float a = scale(2 * part), b = scale(2 * part + 1);
    const Floats scales{a, a, a, a, b, b, b, b};
    const auto low = load<Words>(block + 64 * h + 32 * (quarter % 2)), high = load<Words>(block + 128 + 32 * h);
    const auto first_low = static_cast<std::uint32_t>(quarter / 2 * 4),
               first_high = static_cast<std::uint32_t>(2 * quarter);
    return step_of([&](std::size_t v) {
      const Ints q = (read(low, v, first_low, 4) | read(high, v, first_high, 2) << 4) - 32;
      return __builtin_convertvector(q, Floats) * scales;
    });
  }
};

}  // namespace csreft::cpu
