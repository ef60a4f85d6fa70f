// The primitives of core/ops.h on CUDA devices. Shapes, types and indices are checked and results allocated by the
// caller; the last arguments are written. f32 and f64.
#pragma once

#include <cstdint>
#include <span>

#include "core/ops.h"

namespace csreft::cuda {

// elementwise.cu
void add(const Tensor& a, const Tensor& b, const Tensor& y);
void sub(const Tensor& a, const Tensor& b, const Tensor& y);
void mul(const Tensor& a, const Tensor& b, const Tensor& y);
void scale(const Tensor& x, double factor, const Tensor& y);
void fill(double value, const Tensor& y);
void copy(const Tensor& x, const Tensor& y);
void axpy(double factor, const Tensor& x, const Tensor& y);

// activations.cu
void relu(const Tensor& x, const Tensor& y);
void relu_backward(const Tensor& dy, const Tensor& y, const Tensor& dx);
void sigmoid(const Tensor& x, const Tensor& y);
void sigmoid_backward(const Tensor& dy, const Tensor& y, const Tensor& dx);
void binary_entropy(const Tensor& p, const Tensor& y);
void binary_entropy_backward(const Tensor& dy, const Tensor& p, const Tensor& dp);
void xlogx(const Tensor& x, const Tensor& y);
void xlogx_backward(const Tensor& dy, const Tensor& x, const Tensor& dx);

// silu_mul.cu
void silu_mul(const Tensor& gate, const Tensor& up, const Tensor& y);
void silu_mul_backward(const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate, const Tensor& dup);

// softmax.cu
void softmax(const Tensor& x, const Tensor& y);
void softmax_backward(const Tensor& dy, const Tensor& y, const Tensor& dx);
void one_hot_rows(const Tensor& x, const Tensor& y);

// rows.cu
void add_row(const Tensor& x, const Tensor& row, const Tensor& y);
void mul_row(const Tensor& x, const Tensor& row, const Tensor& y);
void sum_rows(const Tensor& x, const Tensor& y);
void gather_rows(const Tensor& x, const Tensor& index, const Tensor& y);
void scatter_rows(const Tensor& index, const Tensor& rows, const Tensor& y);
void scatter_add_rows(const Tensor& index, const Tensor& rows, const Tensor& y);
void segment_mean(const Tensor& x, const Tensor& offsets, const Tensor& y);
void segment_mean_backward(const Tensor& dy, const Tensor& offsets, const Tensor& dx);

// reductions.cu
void sum(const Tensor& x, const Tensor& y);
double squared_norm(const Tensor& x);
double squared_norms(std::span<const Tensor> tensors);  // all defined, of one type

// matmul.cu: y = op(a) op(b), or y += op(a) op(b)
void matmul(const Tensor& a, const Tensor& b, ops::Transpose transpose_a, ops::Transpose transpose_b, bool accumulate,
            const Tensor& y);
void matmul_bf16(const Tensor& x, const Tensor& weight, ops::Transpose transpose_weight, const Tensor& y);

// rms_norm.cu
void rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& rstd);
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd, const Tensor& dx);
void rms_norm_backward_weight(const Tensor& dy, const Tensor& x, const Tensor& rstd, const Tensor& dw);

// rope.cu
void rope(const Tensor& x, const Tensor& positions, const Tensor& inverse_frequencies, bool inverse, const Tensor& y);

// attention.cu, attention_backward.cu
void attention(const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionLayout& layout,
               const ops::AttentionHeads& heads, const Tensor& out, const Tensor& lse);
void attention_backward(const Tensor& dout, const Tensor& q, const Tensor& k, const Tensor& v,
                        const ops::Attention& forward, const ops::AttentionLayout& layout,
                        const ops::AttentionHeads& heads, const Tensor& dq, const Tensor& dk, const Tensor& dv);

// cross_entropy.cu
void cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& loss);
void cross_entropy_with_gradient(const Tensor& targets, const Tensor& logits, const Tensor& loss);

// scale_blocks.cu
void scale_blocks(const Tensor& u, const Tensor& alpha, const Tensor& example, const Tensor& y);
void scale_blocks_backward_alpha(const Tensor& dy, const Tensor& u, const Tensor& example, const Tensor& dalpha);

// optimizers.cu
void adamw(const Tensor& g, const ops::AdamWFactors& factors, const Tensor& m, const Tensor& v, const Tensor& w);
void momentum_sgd(const Tensor& g, const ops::SgdFactors& factors, const Tensor& m, const Tensor& w);

}  // namespace csreft::cuda
