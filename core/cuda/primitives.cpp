// The table of the primitives on CUDA devices.
#include "core/cuda/primitives.h"

#include "core/cuda/ops.h"

namespace csreft::cuda {

const Primitives& primitives() {
  static const Primitives table{
      .add = cuda::add,
      .sub = cuda::sub,
      .mul = cuda::mul,
      .scale = cuda::scale,
      .fill = cuda::fill,
      .copy = cuda::copy,
      .axpy = cuda::axpy,
      .relu = cuda::relu,
      .relu_backward = cuda::relu_backward,
      .sigmoid = cuda::sigmoid,
      .sigmoid_backward = cuda::sigmoid_backward,
      .binary_entropy = cuda::binary_entropy,
      .binary_entropy_backward = cuda::binary_entropy_backward,
      .xlogx = cuda::xlogx,
      .xlogx_backward = cuda::xlogx_backward,
      .silu_mul = cuda::silu_mul,
      .silu_mul_backward = cuda::silu_mul_backward,
      .softmax = cuda::softmax,
      .softmax_backward = cuda::softmax_backward,
      .one_hot_rows = cuda::one_hot_rows,
      .add_row = cuda::add_row,
      .mul_row = cuda::mul_row,
      .sum_rows = cuda::sum_rows,
      .gather_rows = cuda::gather_rows,
      .scatter_rows = cuda::scatter_rows,
      .scatter_add_rows = cuda::scatter_add_rows,
      .segment_mean = cuda::segment_mean,
      .segment_mean_backward = cuda::segment_mean_backward,
      .sum = cuda::sum,
      .squared_norm = cuda::squared_norm,
      .squared_norms = cuda::squared_norms,
      .matmul = cuda::matmul,
      .matmul_bf16 = cuda::matmul_bf16,
      .rms_norm = cuda::rms_norm,
      .rms_norm_backward = cuda::rms_norm_backward,
      .rms_norm_backward_weight = cuda::rms_norm_backward_weight,
      .rope = cuda::rope,
      .attention = cuda::attention,
      .attention_backward = cuda::attention_backward,
      .cross_entropy = cuda::cross_entropy,
      .cross_entropy_with_gradient = cuda::cross_entropy_with_gradient,
      .scale_blocks = cuda::scale_blocks,
      .scale_blocks_backward_alpha = cuda::scale_blocks_backward_alpha,
      .adamw = cuda::adamw,
      .momentum_sgd = cuda::momentum_sgd,
  };
  return table;
}

}  // namespace csreft::cuda
