#include "core/tensor/stored_matrix.h"

#include <cstring>
#include <utility>
#include <vector>

#include "core/tensor/half.h"

namespace csreft {
namespace {

template <typename Convert>
void convert_all(std::span<const std::byte> halves, float* values, const Convert& convert) {
  const std::size_t n = halves.size() / 2;
  for (std::size_t i = 0; i < n; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, halves.data() + 2 * i, sizeof(bits));
    values[i] = convert(bits);
  }
}

void decode_bf16(std::span<const std::byte> from, float* to) {
  convert_all(from, to,
              [](std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U); });
}

void decode_f16(std::span<const std::byte> from, float* to) { convert_all(from, to, half_to_float); }

void decode_f64(std::span<const std::byte> from, float* to) {
  for (std::size_t at = 0; at < from.size(); at += sizeof(double)) {
    double value;
    std::memcpy(&value, from.data() + at, sizeof(value));
    *to++ = static_cast<float>(value);
  }
}

}  // namespace

std::shared_ptr<const RowEncoding> bf16_encoding() {
  static const auto encoding =
      std::make_shared<const RowEncoding>(RowEncoding{"bf16", RowForm::bf16, 1, 2, decode_bf16});
  return encoding;
}

std::shared_ptr<const RowEncoding> f16_encoding() {
  static const auto encoding = std::make_shared<const RowEncoding>(RowEncoding{"f16", RowForm::f16, 1, 2, decode_f16});
  return encoding;
}

std::shared_ptr<const RowEncoding> f64_encoding() {
  static const auto encoding =
      std::make_shared<const RowEncoding>(RowEncoding{"f64", RowForm::other, 1, 8, decode_f64});
  return encoding;
}

StoredMatrix::StoredMatrix(const Shape& shape, std::shared_ptr<const RowEncoding> encoding,
                           std::span<const std::byte> bytes, std::shared_ptr<const void> owner)
    : shape_(shape), encoding_(std::move(encoding)), bytes_(bytes), owner_(std::move(owner)) {
  require(shape_.rank() == 2, "a stored matrix has shape {}: expected two axes", shape_.str());
  require(cols() % encoding_->block_elements == 0, "rows of {} elements of {} are no whole blocks of {}", cols(),
          encoding_->name, encoding_->block_elements);
  require(rows() * row_bytes() == static_cast<std::int64_t>(bytes_.size()), "{} bytes do not fit shape {} of {}",
          bytes_.size(), shape_.str(), encoding_->name);
}

StoredMatrix StoredMatrix::bf16(const Tensor& matrix) {
  const Tensor rounded = matrix.to(DType::bf16);
  const auto* data = static_cast<const std::byte*>(rounded.raw());
  return {matrix.shape(), bf16_encoding(), {data, rounded.bytes()}, std::make_shared<const Tensor>(rounded)};
}

std::int64_t StoredMatrix::row_bytes() const { return cols() / encoding_->block_elements * encoding_->block_bytes; }

void StoredMatrix::decode(std::int64_t begin, std::int64_t end, float* values) const {
  const auto at = [&](std::int64_t element) {
    return static_cast<std::size_t>(element / encoding_->block_elements * encoding_->block_bytes);
  };
  encoding_->decode(bytes_.subspan(at(begin), at(end) - at(begin)), values);
}

Tensor StoredMatrix::decoded() const {
  Tensor result = Tensor::empty(shape_);
  float* values = result.data<float>();
#pragma omp parallel for schedule(static)
  for (std::int64_t row = 0; row < rows(); ++row) decode(row * cols(), (row + 1) * cols(), values + row * cols());
  return result;
}

StoredMatrix StoredMatrix::reordered(const std::function<std::int64_t(std::int64_t row)>& order) const {
  const auto size = static_cast<std::size_t>(row_bytes());
  const auto copy = std::make_shared<std::vector<std::byte>>(bytes_.size());
  for (std::int64_t i = 0; i < rows(); ++i) {
    std::memcpy(copy->data() + static_cast<std::size_t>(i) * size, row(order(i)), size);
  }
  return {shape_, encoding_, *copy, copy};
}

}  // namespace csreft
