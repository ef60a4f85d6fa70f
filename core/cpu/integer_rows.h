// Stored blocks of whole numbers (core/cpu/row_forms.h) times one row of x, in whole numbers: sixteen products an
// instruction, and no float for each element. Each element of x becomes two numbers of 16 bits, its 31 bits beside the
// largest of its part of 32: the sums of a part are exact, and differ from those of f32 as another order of f32's sums
// would.
#pragma once

#if defined(__AVX2__) && defined(__FMA__)
#define CSREFT_HAS_INTEGER_ROWS
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <immintrin.h>

#include "core/cpu/parallel.h"
#include "core/cpu/row_forms.h"

namespace csreft::cpu {

// A row of x: element i of a part of 32 is scale (high[i] + low[i] / low_unit).
class IntegerRow {
 public:
  static constexpr float low_unit = 65534.0F;  // |x / scale - high| <= 1 / 2: low fills its 16 bits
  struct alignas(sizeof(__m256i)) Part {
    std::array<std::int16_t, step> high, low;
  };

  // n elements, a multiple of 32.
  IntegerRow(const float* x, std::int64_t n)
      : parts_(static_cast<std::size_t>(n / step)), scales_(parts_.size()), sums_(parts_.size()) {
    for_each_piece(n / step, piece_size / step, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part) convert(x + part * step, static_cast<std::size_t>(part));
    });
  }

  const Part& part(std::int64_t i) const { return parts_[static_cast<std::size_t>(i)]; }
  const float* scales() const { return scales_.data(); }  // of each part
  const float* sums() const { return sums_.data(); }      // of each part's elements of x

 private:
  void convert(const float* x, std::size_t part) {
    constexpr float most = 32767.0F;
    constexpr float least = 1e-30F;  // a part below it counts as zeros: its scale would have no reciprocal
    float largest = 0.0F, sum = 0.0F;
    for (std::int64_t i = 0; i < step; ++i) {
      largest = std::max(largest, std::abs(x[i]));
      sum += x[i];
    }
    const bool is_zero = largest < least;
    // What is infinite or no number makes the whole product no number.
    scales_[part] = !std::isfinite(sum) ? sum - sum : is_zero ? 0.0F : largest / most;
    sums_[part] = sum;
    const float reciprocal = is_zero || !std::isfinite(sum) ? 0.0F : most / largest;
    for (std::size_t i = 0; i < step; ++i) {
      const float scaled = reciprocal == 0.0F ? 0.0F : x[i] * reciprocal, high = std::nearbyint(scaled);
      parts_[part].high[i] = static_cast<std::int16_t>(high);
      parts_[part].low[i] = static_cast<std::int16_t>(std::nearbyint((scaled - high) * low_unit));
    }
  }

  std::vector<Part> parts_;
  std::vector<float> scales_, sums_;
};

// 32 elements of a block as whole numbers of 16 bits.
struct Shorts {
  __m256i first, second;
};

inline __m256i bytes_as_shorts(const std::byte* from) { return _mm256_cvtepu8_epi16(load<__m128i>(from)); }
// `bits` bits of each number from its bit `first` on.
inline __m256i bits_of(__m256i numbers, int first, int bits) {
  return _mm256_and_si256(_mm256_srli_epi16(numbers, first), _mm256_set1_epi16(static_cast<short>((1 << bits) - 1)));
}

// The low halves of 16 bytes, and the high ones.
inline Shorts halves_of_bytes(const std::byte* from) {
  const __m256i pairs = bytes_as_shorts(from);
  return {bits_of(pairs, 0, 4), _mm256_srli_epi16(pairs, 4)};
}

// A form in whole numbers: blocks of `parts` times 32 elements in `bytes` bytes, which scales() and integers() take
// apart: an element is scale q + offset. `halves`: the first 16 elements of a part have a scale of their own.
template <typename Form>
struct IntegerForm;

template <>
struct IntegerForm<Q40Form> {
  static constexpr std::int64_t parts = 1, bytes = 18;
  static constexpr bool has_offset = true, halves = false;
  static void scales(const std::byte* block, float* scale, float* offset) {
    *scale = half(block);
    *offset = -8.0F * *scale;
  }
  static Shorts integers(const std::byte* block, std::int64_t) { return halves_of_bytes(block + 2); }
};

template <>
struct IntegerForm<Q41Form> {
  static constexpr std::int64_t parts = 1, bytes = 20;
  static constexpr bool has_offset = true, halves = false;
  static void scales(const std::byte* block, float* scale, float* offset) {
    *scale = half(block);
    *offset = half(block + 2);
  }
  static Shorts integers(const std::byte* block, std::int64_t) { return halves_of_bytes(block + 4); }
};

template <>
struct IntegerForm<Q80Form> {
  static constexpr std::int64_t parts = 1, bytes = 34;
  static constexpr bool has_offset = false, halves = false;
  static void scales(const std::byte* block, float* scale, float*) { *scale = half(block); }
  static Shorts integers(const std::byte* block, std::int64_t) {
    return {_mm256_cvtepi8_epi16(load<__m128i>(block + 2)), _mm256_cvtepi8_epi16(load<__m128i>(block + 18))};
  }
};

template <bool has_fifth_bit>
struct IntegerForm<FourBitKForm<has_fifth_bit>> {
  static constexpr std::int64_t parts = 8, bytes = has_fifth_bit ? 176 : 144;
  static constexpr bool has_offset = true, halves = false;
  // All eight of six_bit_scale_and_offset at once, four to a word.
  static void scales(const std::byte* block, float* scale, float* offset) {
    constexpr std::uint32_t six = 0x3F3F3F3FU, four = 0x0F0F0F0FU, two = 0x03030303U;
    const auto a = load<std::uint32_t>(block + 4), b = load<std::uint32_t>(block + 8),
               c = load<std::uint32_t>(block + 12);
    const auto floats = [](std::uint32_t first, std::uint32_t second) {
      const __m128i of_bytes = _mm_set_epi32(0, 0, static_cast<int>(second), static_cast<int>(first));
      return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(of_bytes));
    };
    const __m256 s = floats(a & six, (c & four) | (a >> 6U & two) << 4U);
    const __m256 m = floats(b & six, (c >> 4U & four) | (b >> 6U & two) << 4U);
    _mm256_storeu_ps(scale, _mm256_mul_ps(s, _mm256_set1_ps(half(block))));
    _mm256_storeu_ps(offset, _mm256_mul_ps(m, _mm256_set1_ps(-half(block + 2))));
  }
  static Shorts integers(const std::byte* block, std::int64_t part) {
    const std::byte* nibbles = block + (has_fifth_bit ? 48 : 16) + part / 2 * step;
    const auto sixteen = [&](std::int64_t from) {
      const int first = static_cast<int>(part % 2 * 4);
      __m256i q = bits_of(bytes_as_shorts(nibbles + from), first, 4);
      if constexpr (has_fifth_bit) {
        const __m256i fifth = bits_of(bytes_as_shorts(block + 16 + from), static_cast<int>(part), 1);
        q = _mm256_or_si256(q, _mm256_slli_epi16(fifth, 4));
      }
      return q;
    };
    return {sixteen(0), sixteen(16)};
  }
};

template <>
struct IntegerForm<Q6KForm> {
  static constexpr std::int64_t parts = 8, bytes = 210;
  static constexpr bool has_offset = false, halves = true;
  static void scales(const std::byte* block, float* scale, float*) {
    const __m256 d = _mm256_set1_ps(half(block + 208));
    for (int i = 0; i < 2; ++i) {
      const __m128i of_bytes = _mm_set_epi64x(0, load<std::int64_t>(block + 192 + 8 * i));
      _mm256_storeu_ps(scale + 8 * i, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(of_bytes)), d));
    }
  }
  static Shorts integers(const std::byte* block, std::int64_t part) {
    const std::int64_t h = part / 4, quarter = part % 4;
    const auto sixteen = [&](std::int64_t from) {
      const __m256i low = bytes_as_shorts(block + 64 * h + 32 * (quarter % 2) + from);
      const __m256i high = bytes_as_shorts(block + 128 + 32 * h + from);
      const __m256i q = _mm256_or_si256(bits_of(low, static_cast<int>(quarter / 2 * 4), 4),
                                        _mm256_slli_epi16(bits_of(high, static_cast<int>(2 * quarter), 2), 4));
      return _mm256_sub_epi16(q, _mm256_set1_epi16(32));
    };
    return {sixteen(0), sixteen(16)};
  }
};

template <typename Form>
concept HasIntegers = requires {
  IntegerForm<Form>::parts;
};

// sum + the products of two times sixteen numbers, those of two neighbours in a lane.
inline __m256i add_products(__m256i sum, __m256i a, const std::int16_t* b) {
  const __m256i from = _mm256_load_si256(reinterpret_cast<const __m256i*>(b));
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
  return _mm256_dpwssd_epi32(sum, a, from);
#elif defined(__AVXVNNI__)
  return _mm256_dpwssd_avx_epi32(sum, a, from);
#else
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, from));
#endif
}

// sum + weight (high + low / low_unit).
inline Floats add_weighted(const Floats& sum, __m256i high, __m256i low, const Floats& weight) {
  const auto floats = [](__m256i whole) { return std::bit_cast<Floats>(_mm256_cvtepi32_ps(whole)); };
  return sum + weight * (floats(high) + floats(low) * (1.0F / IntegerRow::low_unit));
}

// sum + the products of a part: those of the first 16 elements times weight[0], of the others times weight[1] with
// `halves`, else all times weight[0].
template <bool halves>
Floats add_part(const Floats& sum, const Shorts& q, const IntegerRow::Part& x, const float* weight) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i high = add_products(zero, q.first, x.high.data()), low = add_products(zero, q.first, x.low.data());
  if constexpr (halves) {
    const Floats first = add_weighted(sum, high, low, splat(weight[0]));
    return add_weighted(first, add_products(zero, q.second, x.high.data() + 16),
                        add_products(zero, q.second, x.low.data() + 16), splat(weight[1]));
  }
  return add_weighted(sum, add_products(high, q.second, x.high.data() + 16),
                      add_products(low, q.second, x.low.data() + 16), splat(weight[0]));
}

// One row of W times x [in], both whole blocks.
template <typename Form>
float integer_dot(const std::byte* row, const IntegerRow& x, std::int64_t in) {
  using F = IntegerForm<Form>;
  constexpr std::int64_t scales_of_part = F::halves ? 2 : 1;
  Floats offsets{};
  float offset_of_block = 0.0F;
  // Parts go to two sums in turn: an addition need not wait for the one before.
  const auto add_block = [&](std::int64_t first, Floats& even, Floats& odd) {
    const std::byte* block = row + first / F::parts * F::bytes;
    alignas(sizeof(Floats)) std::array<float, F::parts * scales_of_part> scale, offset;
    F::scales(block, scale.data(), offset.data());
    for (std::size_t s = 0; s < scale.size(); ++s) {
      scale[s] *= x.scales()[static_cast<std::size_t>(first) + s / scales_of_part];
    }
    if constexpr (F::has_offset && F::parts == lanes) {
      offsets += load<Floats>(offset.data()) * load<Floats>(x.sums() + first);
    } else if constexpr (F::has_offset) {
      offset_of_block += offset[0] * x.sums()[first];
    }
#pragma GCC unroll 8
    for (std::int64_t p = 0; p < F::parts; ++p) {
      Floats& sum = p % 2 == 0 ? even : odd;
      sum = add_part<F::halves>(sum, F::integers(block, p), x.part(first + p), scale.data() + p * scales_of_part);
    }
  };
  Floats even{}, odd{};
  std::int64_t first = 0;
  for (; first + 2 * F::parts <= in / step; first += 2 * F::parts) {
    add_block(first, even, odd);
    add_block(first + F::parts, odd, even);
  }
  if (first < in / step) add_block(first, even, odd);
  return sum_of(even + odd) + sum_of(offsets) + offset_of_block;
}

}  // namespace csreft::cpu
#endif
