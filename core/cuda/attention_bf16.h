// Attention on tensor cores, for the primitives attention and attention_backward.
#pragma once

#include "core/ops/ops.h"

namespace csreft::cuda {

// Whether products of bf16 are asked for and worth it: f32 tensors, heads of at most 128 components, and on average at
// least 16 queries a sequence, as many as the rows of a warp's tile (when tokens are generated there is one).
bool multiplies_bf16(const Tensor& q, const ops::AttentionLayout& layout, const ops::AttentionHeads& heads);

// What attention() does, with q, k, v and the exponentials rounded to bf16; sums and the softmax are f32.
void attention_bf16(const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionLayout& layout,
                    const ops::AttentionHeads& heads, const Tensor& out, const Tensor& lse);

// What attention_backward() does, with q, k, v, dout, P and dS rounded to bf16. delta [n, n_heads] = rowsum(dout * out)
// for each head; rows of dk and dv that belong to no sequence are left as they are.
void attention_backward_bf16(const Tensor& dout, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& lse,
                             const Tensor& delta, const ops::AttentionLayout& layout, const ops::AttentionHeads& heads,
                             const Tensor& dq, const Tensor& dk, const Tensor& dv);

}  // namespace csreft::cuda
