// The CPU's table of primitives.
#include "core/cpu/primitives.h"

namespace csreft::cpu {

const Primitives& primitives() {
  static const Primitives table{
      .add = cpu::add,
      .sub = cpu::sub,
      .mul = cpu::mul,
      .scale = cpu::scale,
      .fill = cpu::fill,
      .copy = cpu::copy,
      .axpy = cpu::axpy,
      .relu = cpu::relu,
      .relu_backward = cpu::relu_backward,
      .sigmoid = cpu::sigmoid,
      .sigmoid_backward = cpu::sigmoid_backward,
      .binary_entropy = cpu::binary_entropy,
      .binary_entropy_backward = cpu::binary_entropy_backward,
      .xlogx = cpu::xlogx,
      .xlogx_backward = cpu::xlogx_backward,
      .silu_mul = cpu::silu_mul,
      .silu_mul_backward = cpu::silu_mul_backward,
      .softmax = cpu::softmax,
      .softmax_backward = cpu::softmax_backward,
      .one_hot_rows = cpu::one_hot_rows,
      .add_row = cpu::add_row,
      .mul_row = cpu::mul_row,
      .sum_rows = cpu::sum_rows,
      .gather_rows = cpu::gather_rows,
      .scatter_rows = cpu::scatter_rows,
      .scatter_add_rows = cpu::scatter_add_rows,
      .segment_mean = cpu::segment_mean,
      .segment_mean_backward = cpu::segment_mean_backward,
      .sum = cpu::sum,
      .squared_norm = cpu::squared_norm,
      .squared_norms = cpu::squared_norms,
      .matmul = cpu::matmul,
      .matmul_bf16 = cpu::matmul_bf16,
      .rms_norm = cpu::rms_norm,
      .rms_norm_backward = cpu::rms_norm_backward,
      .rms_norm_backward_weight = cpu::rms_norm_backward_weight,
      .rope = cpu::rope,
      .attention = cpu::attention,
      .attention_backward = cpu::attention_backward,
      .cross_entropy = cpu::cross_entropy,
      .cross_entropy_with_gradient = cpu::cross_entropy_with_gradient,
      .scale_blocks = cpu::scale_blocks,
      .scale_blocks_backward_alpha = cpu::scale_blocks_backward_alpha,
      .adamw = cpu::adamw,
      .momentum_sgd = cpu::momentum_sgd,
  };
  return table;
}

}  // namespace csreft::cpu
