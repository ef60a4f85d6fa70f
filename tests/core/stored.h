// Random matrices in each form that files have, with the numbers that they stand for.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "core/tensor/half.h"
#include "core/tensor/random.h"
#include "core/tensor/stored_matrix.h"

namespace csreft::test {

inline constexpr RowForm every_form[] = {RowForm::bf16, RowForm::f16,  RowForm::q4_0, RowForm::q4_1, RowForm::q8_0,
                                         RowForm::q4_k, RowForm::q5_k, RowForm::q6_k, RowForm::other};

// The definitions of stored_matrix.h, block by block and in double; `other` is a signed byte an element, in 64ths.
inline double element_of(RowForm form, const std::byte* block, std::int64_t i) {
  const auto half = [&](std::int64_t at) {
    std::uint16_t bits;
    std::memcpy(&bits, block + at, 2);
    return static_cast<double>(half_to_float(bits));
  };
  const auto byte = [&](std::int64_t at) { return std::to_integer<int>(block[at]); };
  const auto nibble = [&](std::int64_t first) { return i < 16 ? byte(first + i) & 15 : byte(first + i - 16) >> 4; };
  switch (form) {
    case RowForm::bf16: {
      std::uint32_t bits = 0;
      std::memcpy(static_cast<std::byte*>(static_cast<void*>(&bits)) + 2, block, 2);
      return static_cast<double>(std::bit_cast<float>(bits));
    }
    case RowForm::f16: return half(0);
    case RowForm::q4_0: return half(0) * (nibble(2) - 8);
    // As a float: the sum is rounded once.
    case RowForm::q4_1: return static_cast<double>(static_cast<float>(half(0) * nibble(4) + half(2)));
    case RowForm::q8_0: return half(0) * static_cast<std::int8_t>(byte(2 + i));
    case RowForm::q4_k:
    case RowForm::q5_k: {
      const bool has_fifth_bit = form == RowForm::q5_k;
      const std::int64_t part = i / 32, at = (has_fifth_bit ? 48 : 16) + part / 2 * 32 + i % 32;
      const int fifth = has_fifth_bit ? (byte(16 + i % 32) >> part) % 2 : 0;
      const int q = (part % 2 == 0 ? byte(at) & 15 : byte(at) >> 4) + 16 * fifth;
      const int scale = part < 4 ? byte(4 + part) % 64 : byte(8 + part) % 16 + 16 * (byte(part) / 64);
      const int offset = part < 4 ? byte(8 + part) % 64 : byte(8 + part) / 16 + 16 * (byte(4 + part) / 64);
      return static_cast<double>(static_cast<float>(half(0) * scale * q - half(2) * offset));
    }
    case RowForm::q6_k: {
      const std::int64_t h = i / 128, within = i % 128;
      const int low = byte(64 * h + within % 64), high = byte(128 + 32 * h + within % 32);
      const int q = (within < 64 ? low % 16 : low / 16) + 16 * (high >> (within / 32 * 2) & 3);
      return static_cast<double>(
          static_cast<float>(half(208) * static_cast<std::int8_t>(byte(192 + i / 16)) * (q - 32)));
    }
    case RowForm::other: break;
  }
  return static_cast<std::int8_t>(byte(i)) / 64.0;
}

struct FormSize {
  std::int64_t elements, bytes;
};
inline FormSize size_of_form(RowForm form) {
  switch (form) {
    case RowForm::bf16:
    case RowForm::f16: return {1, 2};
    case RowForm::q4_0: return {32, 18};
    case RowForm::q4_1: return {32, 20};
    case RowForm::q8_0: return {32, 34};
    case RowForm::q4_k: return {256, 144};
    case RowForm::q5_k: return {256, 176};
    case RowForm::q6_k: return {256, 210};
    case RowForm::other: break;
  }
  return {8, 8};
}

inline std::shared_ptr<const RowEncoding> encoding_of(RowForm form) {
  const auto [elements, bytes] = size_of_form(form);
  const auto decode = [form, elements, bytes](std::span<const std::byte> blocks, float* values) {
    for (std::size_t at = 0; at < blocks.size(); at += static_cast<std::size_t>(bytes)) {
      for (std::int64_t i = 0; i < elements; ++i) {
        *values++ = static_cast<float>(element_of(form, blocks.data() + at, i));
      }
    }
  };
  return std::make_shared<const RowEncoding>(RowEncoding{"a form of tests", form, elements, bytes, decode});
}

// Elements of order 1; `cols` is a multiple of the form's block.
inline StoredMatrix random_stored(RowForm form, std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  const auto [elements, bytes] = size_of_form(form);
  const std::int64_t blocks = rows * cols / elements;
  const auto data = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(blocks * bytes));
  Random random(seed);
  for (auto& b : *data) b = static_cast<std::byte>(random.below(256));
  // Numbers in halves and bf16: from 1/8 to 2 by themselves, and so small as scales and offsets that elements are, too.
  const auto limit = [&](std::int64_t at, unsigned exponent) {
    std::byte& high = (*data)[static_cast<std::size_t>(at)];
    high = static_cast<std::byte>((std::to_integer<unsigned>(high) & 0x83U) | exponent);
  };
  for (std::int64_t b = 0; b < blocks && form != RowForm::other; ++b) {
    const bool has_offsets = form == RowForm::q4_k || form == RowForm::q5_k;
    const bool is_large = has_offsets || form == RowForm::q6_k;
    const std::int64_t first = b * bytes + (form == RowForm::q6_k ? 208 : 0);
    limit(first + 1, form == RowForm::bf16 ? 0x3cU : form == RowForm::q8_0 ? 0x20U : is_large ? 0x10U : 0x2cU);
    if (form == RowForm::q4_1 || has_offsets) limit(first + 3, is_large ? 0x10U : 0x2cU);
  }
  return {{rows, cols}, encoding_of(form), *data, data};
}

// What it stands for, in f64.
inline Tensor numbers_of(const StoredMatrix& w) {
  const auto& [name, form, elements, bytes, decode] = w.encoding();
  Tensor t = Tensor::empty(w.shape(), DType::f64);
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    t.data<double>()[i] = element_of(form, w.bytes().data() + i / elements * bytes, i % elements);
  }
  return t;
}

}  // namespace csreft::test
