// The table of a backend: one function for each primitive of core/ops.h. Shapes, types and indices are checked and
// results allocated by the caller; the last arguments are written. Index tensors (i32) and rope's frequencies lie on
// the host whatever the backend, where they are checked.
#pragma once

#include "core/cpu/ops.h"

namespace csreft {

struct Primitives {
  decltype(cpu::add)* add;
  decltype(cpu::sub)* sub;
  decltype(cpu::mul)* mul;
  decltype(cpu::scale)* scale;
  decltype(cpu::fill)* fill;
  decltype(cpu::copy)* copy;
  decltype(cpu::axpy)* axpy;
  decltype(cpu::relu)* relu;
  decltype(cpu::relu_backward)* relu_backward;
  decltype(cpu::sigmoid)* sigmoid;
  decltype(cpu::sigmoid_backward)* sigmoid_backward;
  decltype(cpu::binary_entropy)* binary_entropy;
  decltype(cpu::binary_entropy_backward)* binary_entropy_backward;
  decltype(cpu::xlogx)* xlogx;
  decltype(cpu::xlogx_backward)* xlogx_backward;
  decltype(cpu::silu_mul)* silu_mul;
  decltype(cpu::silu_mul_backward)* silu_mul_backward;
  decltype(cpu::softmax)* softmax;
  decltype(cpu::softmax_backward)* softmax_backward;
  decltype(cpu::one_hot_rows)* one_hot_rows;
  decltype(cpu::add_row)* add_row;
  decltype(cpu::mul_row)* mul_row;
  decltype(cpu::sum_rows)* sum_rows;
  decltype(cpu::gather_rows)* gather_rows;
  decltype(cpu::scatter_rows)* scatter_rows;
  decltype(cpu::scatter_add_rows)* scatter_add_rows;
  decltype(cpu::segment_mean)* segment_mean;
  decltype(cpu::segment_mean_backward)* segment_mean_backward;
  decltype(cpu::sum)* sum;
  decltype(cpu::squared_norm)* squared_norm;
  decltype(cpu::squared_norms)* squared_norms;
  decltype(cpu::matmul)* matmul;
  decltype(cpu::matmul_bf16)* matmul_bf16;
  decltype(cpu::rms_norm)* rms_norm;
  decltype(cpu::rms_norm_backward)* rms_norm_backward;
  decltype(cpu::rms_norm_backward_weight)* rms_norm_backward_weight;
  decltype(cpu::rope)* rope;
  decltype(cpu::attention)* attention;
  decltype(cpu::attention_backward)* attention_backward;
  decltype(cpu::cross_entropy)* cross_entropy;
  decltype(cpu::cross_entropy_with_gradient)* cross_entropy_with_gradient;
  decltype(cpu::scale_blocks)* scale_blocks;
  decltype(cpu::scale_blocks_backward_alpha)* scale_blocks_backward_alpha;
  decltype(cpu::adamw)* adamw;
  decltype(cpu::momentum_sgd)* momentum_sgd;
};

}  // namespace csreft
