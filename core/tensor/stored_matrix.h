// A matrix as a file stores it: its elements are not f32 but bf16, halves, or blocks of small integers with a scale.
// Whoever needs rows in f32 decodes them, a few at a time, so a frozen model takes no more memory than its file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/tensor/tensor.h"

namespace csreft {

// Encodings that core/cpu multiplies as they are; rows of `other` are decoded first. In blocks of 32 elements, d and m
// are halves and q small integers; byte j of 16 holds element j in its low half and element j + 16 in its high half:
//   q4_0 {d, bytes}: d (q - 8)   q4_1 {d, m, bytes}: d q + m   q8_0 {d, 32 signed bytes}: d q
// In blocks of 256, eight parts of 32 elements have scales s and offsets o of 6 bits, or halves of parts signed bytes
// s:
//   q4_k {d, m, 12 bytes of s and o, 128 bytes}: d s q - m o, the bytes of two parts side by side, in low and high
//   halves
//   q5_k {d, m, 12 bytes of s and o, 32 bytes, 128 bytes}: the same with a fifth bit of q, bit j of the 32 bytes for
//   part j
//   q6_k {128 bytes, 64 bytes, 16 of s, d}: d s (q - 32), q's four low bits in the first bytes and two in the others
enum class RowForm { bf16, f16, q4_0, q4_1, q8_0, q4_k, q5_k, q6_k, other };

// How the elements of a row are stored: in blocks of this many elements and bytes, of which a row has a whole number.
struct RowEncoding {
  std::string name;  // for messages
  RowForm form = RowForm::other;
  std::int64_t block_elements = 1;
  std::int64_t block_bytes = 1;
  // Writes the elements of whole blocks, which need not be aligned, as f32. Thread-safe.
  std::function<void(std::span<const std::byte> blocks, float* values)> decode;
};

std::shared_ptr<const RowEncoding> bf16_encoding();
std::shared_ptr<const RowEncoding> f16_encoding();
std::shared_ptr<const RowEncoding> f64_encoding();  // rounded to f32

// [rows, cols] on the host, read-only. A handle: copies share the bytes, which `owner` keeps alive.
class StoredMatrix {
 public:
  // Throws Error unless the shape is a matrix whose rows are whole blocks and fill `bytes`.
  StoredMatrix(const Shape& shape, std::shared_ptr<const RowEncoding> encoding, std::span<const std::byte> bytes,
               std::shared_ptr<const void> owner);
  // An f32 or bf16 matrix on the host, rounded to bf16; a bf16 one is shared.
  static StoredMatrix bf16(const Tensor& matrix);

  const Shape& shape() const { return shape_; }
  std::int64_t rows() const { return shape_[0]; }
  std::int64_t cols() const { return shape_[1]; }
  const RowEncoding& encoding() const { return *encoding_; }
  // All rows, one after the other, `row_bytes` each.
  std::span<const std::byte> bytes() const { return bytes_; }
  std::int64_t row_bytes() const;
  // The first byte of a row.
  const std::byte* row(std::int64_t i) const { return bytes_.data() + i * row_bytes(); }

  // Writes elements [begin, end) of the rows put end to end; both are multiples of the encoding's block.
  void decode(std::int64_t begin, std::int64_t end, float* values) const;
  // All of it in f32.
  Tensor decoded() const;
  // The matrix whose row i is row `order(i)` of this one: a copy.
  StoredMatrix reordered(const std::function<std::int64_t(std::int64_t row)>& order) const;

 private:
  Shape shape_;
  std::shared_ptr<const RowEncoding> encoding_;
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
};

}  // namespace csreft
