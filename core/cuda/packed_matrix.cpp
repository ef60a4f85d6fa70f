#include "core/cuda/packed_matrix.h"

#include "core/ops/ops.h"

namespace csreft::cuda {
namespace {

using ops::Transpose;

// Of the weight in place, by multiply(x, weight, transpose_weight) and add(sum, x, weight, transpose_weight).
template <typename Multiply, typename Add>
PackedProducts products(const Tensor& weight, const Multiply& multiply, const Add& add) {
  return {
      .factor_dtype = weight.dtype(),
      .read_bytes = [=](std::int64_t) { return weight.numel() * static_cast<std::int64_t>(size_of(weight.dtype())); },
      .apply = [=](const Tensor& x) { return multiply(x, weight, Transpose::yes); },
      .apply_transposed = [=](const Tensor& y) { return multiply(y, weight, Transpose::no); },
      .apply_transposed_add_ = [=](const Tensor& sum, const Tensor& y) { add(sum, y, weight, Transpose::no); }};
}

Tensor multiply(const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  return ops::matmul(x, weight, Transpose::no, transpose_weight);
}
void add_product(const Tensor& sum, const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  ops::matmul_add_(sum, x, weight, Transpose::no, transpose_weight);
}

}  // namespace

PackedProducts pack(const Tensor& weight, Packing packing) {
  const bool is_f32 = weight.dtype() == DType::f32;
  switch (packing) {
    case Packing::tf32:
      require(is_f32, "a matrix of {} cannot be multiplied in TF32: expected f32", name_of(weight.dtype()));
      return products(weight, ops::matmul_tf32, ops::matmul_tf32_add_);
    case Packing::bf16:
      require(is_f32, "a matrix of {} cannot be kept in bf16: expected f32", name_of(weight.dtype()));
      return products(weight.to(DType::bf16), ops::matmul_bf16, ops::matmul_bf16_add_);
    default: return products(weight, multiply, add_product);
  }
}

}  // namespace csreft::cuda
