// Every differentiable function, one declaration each; functions/NAME.cpp has its formula, its forward and its backward
// side by side. A function calls core/ops/ops.h and never asks on which device it runs. Shapes: n tokens or rows.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <variant>
#include <vector>

#include "autograd/variable.h"
#include "core/ops/ops.h"
#include "core/ops/packed_matrix.h"

namespace csreft {

// ---- elementwise --------------------------------------------------------------------------------------------------

Variable add(const Variable& a, const Variable& b);
Variable sub(const Variable& a, const Variable& b);
Variable mul(const Variable& a, const Variable& b);
Variable scale(const Variable& x, double factor);
Variable relu(const Variable& x);
Variable sigmoid(const Variable& x);
Variable silu(const Variable& x);  // x sigmoid(x)
Variable tanh(const Variable& x);
Variable gelu(const Variable& x);            // x Phi(x), exact, by erf; see ops.h
Variable binary_entropy(const Variable& p);  // -p log p - (1 - p) log(1 - p), in nats
Variable xlogx(const Variable& x);           // x log x, in nats
Variable silu_mul(const Variable& gate, const Variable& up);
// x / (1 - p) with probability 1 - p, else 0; element i by element i of the stream.
Variable dropout(const Variable& x, double p, std::uint64_t seed, std::uint64_t stream, std::uint64_t first = 0);
// The value `hard` with the gradient of `soft`, of one shape: the straight-through estimator (arXiv 1308.3432) of a
// choice that has no derivative.
Variable straight_through(const Tensor& hard, const Variable& soft);

// ---- rows and reductions ------------------------------------------------------------------------------------------

Variable sum(const Variable& x);                                 // any shape -> [1]
Variable abs_sum(const Variable& x);                             // the sum of |x|: any shape -> [1]
Variable add_row(const Variable& x, const Variable& row);        // [n, m] + [m]
Variable softmax(const Variable& x);                             // of each row of [n, m]
Variable gather_rows(const Variable& x, const RowIndex& index);  // [n, m], i32 [k] -> [k, m]; also the embedding lookup
Variable segment_mean(const Variable& x, const Tensor& offsets);  // [n, m], i32 [s + 1] -> [s, m]; see ops.h

// hidden [n, d] with delta [m, d] added at the rows that index, i32 [m] on the host, names. Throws Error for a row that
// is named twice.
Variable add_at_rows(const Variable& hidden, const RowIndex& index, const Variable& delta);
// The same with values [m, d] in the place of those rows.
Variable replace_rows(const Variable& hidden, const RowIndex& index, const Variable& values);

// ---- linear layers ------------------------------------------------------------------------------------------------

// The matrix [out, in] of a layer: a Variable where it may be trained, packed where it is frozen.
using LinearWeight = std::variant<Variable, PackedMatrix>;

// x W^T: [n, in] -> [n, out]. A frozen W saves nothing: dx = dy W.
Variable linear(const Variable& x, const LinearWeight& weight);
// x [n, in] times each of several W [out_i, in], in their order: [n, out_i] each, of x's type. Where products of frozen
// W round x to bf16 that is done once; a W that is trained is multiplied by x as it is. Throws Error for a W that x
// does not fit.
std::vector<Variable> linears(const Variable& x, std::initializer_list<LinearWeight> weights);

// Sum over i of sum |A A_i^T| -> [1]: how far the rows of A [r, d] are from orthogonal to those of the A_i [r_i, d],
// the directions of earlier tasks (L_orth of O-LoRA, arXiv 2310.14152, with absolute values as in its released code).
// Throws Error where there are no A_i.
Variable orthogonality(const Variable& A, std::span<const Tensor> earlier);

// ---- Llama; see ops.h for shapes and sources ----------------------------------------------------------------------

// x [n, d], weight [d].
Variable rms_norm(const Variable& x, const Variable& weight, double eps);
// The residual stream after an addition, and its norm, made in one pass; so are their gradients.
struct AddedAndNormed {
  Variable sum;   // [n, d]: a + b
  Variable norm;  // [n, d]: rms_norm(a + b, weight, eps)
};
// a and b [n, d], weight [d].
AddedAndNormed add_rms_norm(const Variable& a, const Variable& b, const Variable& weight, double eps);
Variable rope(const Variable& x, const Tensor& positions, const Tensor& inverse_frequencies);
Variable attention(const Variable& q, const Variable& k, const Variable& v, const ops::AttentionLayout& layout,
                   const ops::AttentionHeads& heads);

// Logits exist for this many rows at a time.
inline constexpr std::int64_t head_chunk = 256;

// scale * sum over i of -log softmax(hidden W^T)[i, target i]: hidden [n, d], W [vocabulary, d], targets i32 [n] ->
// [1]. Logits exist for `chunk` rows at a time. Where a gradient is required it is made in the same pass, since it is
// linear in the gradient of the loss: one product with W fewer than computing the logits again.
Variable head_cross_entropy(const Variable& hidden, const LinearWeight& weight, const Tensor& targets, double scale,
                            std::int64_t chunk = head_chunk);

// ---- representation edits -----------------------------------------------------------------------------------------

// Which rows of the hidden states are edited, and to which example of the batch each belongs.
struct EditRows {
  RowIndex index;    // i32 [m] of the hidden states, distinct
  RowIndex example;  // i32 [m] of the gates alpha
};

// At the rows h of hidden [n, d] that `rows` names: h + P^T (g * (A h + b)), the common form of the low-rank
// interventions (arXiv 2404.03592, eq. 2; gated and stacked as in arXiv 2503.10617, eq. 3). A [q, d] (undefined: zero),
// b [q] (undefined: zero), P [q, d]; g = alpha[example] with each of its k entries repeated q / k times, alpha [s, k]
// (undefined: one). Other rows pass unchanged.
Variable low_rank_update(const Variable& hidden, const EditRows& rows, const Variable& A, const Variable& b,
                         const Variable& P, const Variable& alpha = {});

// The same with u [m, q] in place of A h + b: h + P^T (g * u), where u has passed through an activation.
Variable low_rank_write(const Variable& hidden, const EditRows& rows, const Variable& u, const Variable& P,
                        const Variable& alpha = {});

// At the rows h that `rows` names: s * h + b, s and b [d] (RED, arXiv 2402.15179).
Variable scale_shift(const Variable& hidden, const EditRows& rows, const Variable& s, const Variable& b);

}  // namespace csreft
