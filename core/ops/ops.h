// Every primitive of the project, one declaration each. A primitive knows nothing of gradients: where a backward exists
// it is a primitive of its own. Arithmetic is f32 or f64 (bf16 is storage). The real tensors of a call lie on one
// device, and its backend (core/device/backend.h) has the function that runs there: core/cpu/NAME.cpp or
// core/cuda/NAME.cu. Index tensors (i32) lie on the host, where they are checked; a device gets copies of them in the
// order of its stream, and the host does not wait. Where it is said, they may lie on the device of the other tensors
// instead, as recorded work needs them (recording.h): then nobody checks what they hold.
//
// Shapes are checked here, once, and a mismatch throws Error; inside the backends they are trusted.
// A trailing underscore marks the functions that write into an argument. Results depend on the number of threads at
// most by the order of a sum, and never from one run to the next.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/ops/row_index.h"
#include "core/tensor/tensor.h"

namespace csreft::ops {

// ---- elementwise; operands have equal shapes ----------------------------------------------------------------------

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
void copy_(const Tensor& y, const Tensor& x);                 // y = x, from any device; i32 too
void add_(const Tensor& y, const Tensor& x);                  // y += x
void axpy_(const Tensor& y, double factor, const Tensor& x);  // y += factor x

// The same for several tensors of one type on one device, together: a device starts one kernel for some hundred of
// them. Undefined ones stay undefined.
std::vector<Tensor> scale_all(std::span<const Tensor> tensors, double factor);
// y[i] = x[i], all on one device; all x are of one type and all y of one, f32 or f64 (rounded to nearest).
void copy_all_(std::span<const Tensor> y, std::span<const Tensor> x);

Tensor relu(const Tensor& x);
Tensor relu_backward(const Tensor& dy, const Tensor& y);
Tensor sigmoid(const Tensor& x);
Tensor sigmoid_backward(const Tensor& dy, const Tensor& y);
// y = silu(gate) * up, silu(x) = x sigmoid(x): the activation of SwiGLU (Shazeer 2020).
Tensor silu_mul(const Tensor& gate, const Tensor& up);
struct SiluMulGradient {
  Tensor dgate, dup;
};
SiluMulGradient silu_mul_backward(const Tensor& dy, const Tensor& gate, const Tensor& up);
// Entropy of a Bernoulli variable, in nats: -p log p - (1 - p) log(1 - p), with its limit 0 at p = 0 and p = 1.
Tensor binary_entropy(const Tensor& p);
// p is kept 1e-7 away from 0 and 1, where the derivative log((1 - p) / p) has no finite value.
Tensor binary_entropy_backward(const Tensor& dy, const Tensor& p);
// x log x, with its limit 0 at x = 0: minus the terms of an entropy in nats.
Tensor xlogx(const Tensor& x);
// dy (log x + 1); x is kept 1e-7 away from 0, where the derivative has no finite value.
Tensor xlogx_backward(const Tensor& dy, const Tensor& x);
Tensor silu(const Tensor& x);  // x sigmoid(x)
Tensor silu_backward(const Tensor& dy, const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor tanh_backward(const Tensor& dy, const Tensor& y);  // y: what tanh returned
// x Phi(x), Phi the distribution function of a standard normal variable, by erf (Hendrycks and Gimpel 2016; torch's
// default, approximate='none').
Tensor gelu(const Tensor& x);
Tensor gelu_backward(const Tensor& dy, const Tensor& x);
Tensor sign(const Tensor& x);                   // -1, 0 or 1
Tensor threshold(const Tensor& x, double tau);  // 1 where x > tau, else 0

// ---- rows of a matrix ---------------------------------------------------------------------------------------------

Tensor softmax(const Tensor& x);                             // [n, m]: each row sums to 1
Tensor softmax_backward(const Tensor& dy, const Tensor& y);  // y: what softmax returned
// [n, m]: 1 at the k largest of each row, of equal ones the first; else 0. 1 <= k <= m. Every element is compared with
// its whole row: for rows of some hundred elements.
Tensor top_k_rows(const Tensor& x, std::int64_t k);
Tensor add_row(const Tensor& x, const Tensor& row);          // [n, m] + [m]
Tensor mul_row(const Tensor& x, const Tensor& row);          // [n, m] * [m]
Tensor sum_rows(const Tensor& x);                            // [n, m] -> [m]
Tensor gather_rows(const Tensor& x, const RowIndex& index);  // [n, m], i32 [k] -> [k, m]; also the embedding lookup
// y[index[i]] = rows[i]; a y in bf16 takes rows of f32, which are rounded. The index of these two may lie on the
// device; here it then names no row twice.
void scatter_rows_(const Tensor& y, const RowIndex& index, const Tensor& rows);
void scatter_add_rows_(const Tensor& y, const RowIndex& index, const Tensor& rows);  // y[index[i]] += rows[i], i rising
// x with rows[i] added to its row index[i], i32 [k] without repetition: a sum of few rows, and the copy of the others.
Tensor add_rows(const Tensor& x, const RowIndex& index, const Tensor& rows);
// Mean of each run of rows: [n, m], i32 offsets [s + 1] -> [s, m]. offsets[0] = 0, rising, offsets[s] = n; a run of no
// rows has mean 0.
Tensor segment_mean(const Tensor& x, const Tensor& offsets);
Tensor segment_mean_backward(const Tensor& dy, const Tensor& offsets);

// ---- random numbers (core/tensor/random.h) --------------------------------------------------------------------------

// y [any shape] from the stream (seed, stream). Uniform in [low, high): element i is low + (high - low) w 2^-24, w the
// upper 24 bits of the first word of block i; product and sum are rounded once, in double, so that every processor has
// the same bits. Normal: elements 2j and 2j + 1 come from the first two words of block j, by Box and Muller (1958) in
// double; devices differ by the rounding of logarithm, sine, cosine and sums.
void fill_uniform_(const Tensor& y, double low, double high, std::uint64_t seed, std::uint64_t stream);
void fill_normal_(const Tensor& y, double mean, double deviation, std::uint64_t seed, std::uint64_t stream);
// Standard Gumbel noise: element i is -log(-log u), u = (w + 1/2) 2^-32 in (0, 1), w the first word of block
// first + i; in double: y is a part of a longer tensor, whose element `first` it begins with. Devices differ by the
// rounding of logarithms.
void fill_gumbel_(const Tensor& y, std::uint64_t seed, std::uint64_t stream, std::uint64_t first = 0);
// y = x / (1 - p) where the uniform draw of element first + i is at least p, in [0, 1), else 0 (Srivastava et al.
// 2014). Its backward is the same of dy, with the same stream: no mask is kept.
Tensor dropout(const Tensor& x, double p, std::uint64_t seed, std::uint64_t stream, std::uint64_t first = 0);

// How a token is chosen.
struct Sampling {
  double temperature = 0.0;  // 0: greedy, the largest logit
  int top_k = 0;             // only the k most probable tokens; 0: all
  double top_p = 1.0;        // only the most probable tokens that together reach this probability
  std::uint64_t seed = 0;
};
// tokens[i] is drawn from softmax(logits[i] / temperature), first cut to the top_k, then to the nucleus of mass top_p
// (Holtzman et al. 2020); of equal logits the lower id comes first; -1 where a logit is not finite. logits [n,
// vocabulary], vocabulary at most 2^21; tokens i32 [n]; draws i32 [n, 2]: of each row its sequence and how many draws
// that has made. The draw is the next one of stream first_stream + sequence of the seed, as Random reads it, and is
// counted; greedy choice draws none. All tensors lie on the logits' device, and the host looks at none of them. Weights
// are whole multiples of 2^-31 of the largest, so that their sums are exact: every device chooses the same token.
void sample_(const Tensor& logits, const Sampling& sampling, std::uint64_t first_stream, const Tensor& draws,
             const Tensor& tokens);

// ---- reductions ---------------------------------------------------------------------------------------------------

Tensor sum(const Tensor& x);           // [1]
Tensor abs_sum(const Tensor& x);       // [1]: the sum of |x|
double squared_norm(const Tensor& x);  // summed in double
// Of several tensors of one type on one device; undefined ones count for nothing. The host waits once.
double squared_norms(std::span<const Tensor> tensors);

// ---- matrix products ----------------------------------------------------------------------------------------------

enum class Transpose { no, yes };

// op(a) op(b): [m, k] [k, n] -> [m, n]. k = 0 gives zeros.
Tensor matmul(const Tensor& a, const Tensor& b, Transpose transpose_a = Transpose::no,
              Transpose transpose_b = Transpose::no);
// y += op(a) op(b)
void matmul_add_(const Tensor& y, const Tensor& a, const Tensor& b, Transpose transpose_a = Transpose::no,
                 Transpose transpose_b = Transpose::no);
// x op(weight) for a weight that is stored in bf16: f32 or bf16 [m, k], bf16 -> f32 [m, n]. An x in f32 is rounded to
// bf16, products are exact, sums are f32.
Tensor matmul_bf16(const Tensor& x, const Tensor& weight, Transpose transpose_weight = Transpose::no);
// y += x op(weight), the same way
void matmul_bf16_add_(const Tensor& y, const Tensor& x, const Tensor& weight,
                      Transpose transpose_weight = Transpose::no);
// x op(weight) with both factors rounded to TF32, which keeps 10 bits of f32's fraction, and sums in f32: f32 [m, k],
// f32 -> f32 [m, n]. What a GPU's matrix units make of f32; on the CPU slower than matmul.
Tensor matmul_tf32(const Tensor& x, const Tensor& weight, Transpose transpose_weight = Transpose::no);
// y += x op(weight), the same way
void matmul_tf32_add_(const Tensor& y, const Tensor& x, const Tensor& weight,
                      Transpose transpose_weight = Transpose::no);

// ---- Llama --------------------------------------------------------------------------------------------------------

// Root mean square normalisation (Zhang and Sennrich 2019): y = w * x * rstd, rstd = 1 / sqrt(mean(x^2) + eps), for
// each row of x [n, d]; w [d].
struct RmsNorm {
  Tensor y;     // [n, d]
  Tensor rstd;  // [n]
};
RmsNorm rms_norm(const Tensor& x, const Tensor& weight, double eps);
// The same of a + b, [n, d] each: the residual stream after what was added to it, in one pass.
struct AddRmsNorm {
  Tensor sum;   // [n, d]: a + b
  Tensor y;     // [n, d]
  Tensor rstd;  // [n]
};
AddRmsNorm add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, double eps);
// dx, to which `residual` [n, d] (undefined: zero) is added: the gradient that reaches x past the norm.
Tensor rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                         const Tensor& residual = {});
Tensor rms_norm_backward_weight(const Tensor& dy, const Tensor& x, const Tensor& rstd);  // dw [d]

// Rotary position embedding (Su et al. 2021) in Hugging Face's layout: within a head, component i turns with component
// i + head_dim / 2 by the angle position * inverse_frequency[i]. x [n, heads * head_dim]; positions i32 [n];
// inverse_frequencies f64 [head_dim / 2], on the host. Turning by -1 times the angle is the backward. The positions may
// lie on the device.
Tensor rope(const Tensor& x, const Tensor& positions, const Tensor& inverse_frequencies, bool inverse = false);

// Which rows belong to which sequence. Sequence s asks with rows [q_offsets[s], q_offsets[s + 1]) of q, which are its
// last tokens, and sees rows [k_starts[s], k_starts[s] + k_lengths[s]) of k and v; k_lengths[s] is at least the number
// of its queries. In a packed batch both are the same rows; with a KV cache k and v are the cache.
struct AttentionLayout {
  Tensor q_offsets;  // i32 [n_sequences + 1]
  Tensor k_starts;   // i32 [n_sequences]
  Tensor k_lengths;  // i32 [n_sequences]
};
struct AttentionHeads {
  std::int64_t n_heads, n_kv_heads, head_dim;
  // Factors of products may be rounded to bf16, their sums and the softmax are f32: for f32 tensors on devices with
  // tensor cores, which are several times as fast then. Elsewhere products are made in the tensors' type.
  bool bf16_products = false;
};
// Causal attention softmax(q k^T / sqrt(head_dim)) v within each sequence, grouped-query (Ainslie et al. 2023): head j
// reads key/value head j / (n_heads / n_kv_heads). Tiled with a running maximum (Milakov and Gimelshein 2018; Dao et
// al. 2022): no matrix of queries by keys is ever in memory. q [n, n_heads * head_dim]; k, v [m, n_kv_heads *
// head_dim].
struct Attention {
  Tensor out;  // [n, n_heads * head_dim]
  Tensor lse;  // [n, n_heads]: log of the sum of exponentials of each query's scaled scores
};
Attention attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout,
                    const AttentionHeads& heads);
struct AttentionGradient {
  Tensor dq, dk, dv;
};
AttentionGradient attention_backward(const Tensor& dout, const Tensor& q, const Tensor& k, const Tensor& v,
                                     const Attention& forward, const AttentionLayout& layout,
                                     const AttentionHeads& heads);

// The same for one query a sequence, its last token, without lse: row s of q sees rows [starts[s], starts[s] +
// lengths[s]) of k and v. starts and lengths i32 [n] lie where q does; 1 <= lengths[s] <= longest. On a device the work
// is laid out for `longest`, so that it can be recorded once for all lengths. For a q in f32, k and v may be in bf16.
Tensor attention_step(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& starts, const Tensor& lengths,
                      std::int64_t longest, const AttentionHeads& heads);

// What a step of generation reads, one token of each of n sequences, i32 [n] each. It lies on the model's device, where
// each step leaves it to the next.
struct StepInputs {
  Tensor ids;         // the token
  Tensor positions;   // its index in its sequence
  Tensor cache_rows;  // the row of the KV cache that takes it
  Tensor lengths;     // tokens of the sequence, with it
  Tensor growth;      // 1, or 0 for a sequence that has ended
  Tensor steps;       // steps that have been done
};
// Goes on to the next step: tokens, i32 [n], were drawn and become the ids, but for those that are -1 (sample_): there
// the id stays. Row steps[i] of drawn, i32 [m, n], keeps tokens[i], whatever it is; then steps rise by one, and
// positions, cache_rows and lengths by growth. All lie on one device; steps must be less than m, which is checked on
// the host.
void advance_step_(const StepInputs& inputs, const Tensor& tokens, const Tensor& drawn);

// -log softmax(logits)[target] of each row: logits [n, vocabulary], targets i32 [n] -> [n].
Tensor cross_entropy(const Tensor& logits, const Tensor& targets);
// The same, and logits become the gradient of the sum of the losses: softmax(logits) - onehot(target).
Tensor cross_entropy_with_gradient_(const Tensor& logits, const Tensor& targets);

// ---- gated low-rank edits (CS-ReFT, arXiv 2503.10617, eq. 3) --------------------------------------------------------

// What an edit h + P^T (g * (A h + b)) of n rows does between its two thin products, for k stacked subspaces at once:
// u [n, q] holds h A^T and becomes h A^T + b, b [q] (undefined: zero); returned is g * u. Row i belongs to example
// e = example[i] (i32 [n]), and g is alpha[e, j] in its block j of q / k columns, alpha [s, k]; where alpha is
// undefined g is 1, and u itself is returned.
Tensor low_rank_gate_(const Tensor& u, const Tensor& b, const Tensor& alpha, const RowIndex& example);
// The same in the backward, with c [n, q] the gradient of g * u: one pass makes the gradient of h A^T and those of b
// and of alpha, which is 0 for examples without rows.
struct LowRankGateGradient {
  Tensor gated_c;  // [n, q]: g * c
  Tensor db;       // [q]: sum over the rows of g * c
  Tensor dalpha;   // [s, k]: sum over the example's rows and the block's columns of u * c
};
LowRankGateGradient low_rank_gate_backward(const Tensor& c, const Tensor& u, const Tensor& alpha,
                                           const RowIndex& example);

// ---- optimizer steps ----------------------------------------------------------------------------------------------

// AdamW (Loshchilov and Hutter 2019) with its scalars folded together; w, g, m and v have equal shapes:
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   w = decay w - step_size m / (sqrt(v) root_correction + eps)
struct AdamWFactors {
  double decay, beta1, beta2, step_size, root_correction, eps;
};
struct AdamWUpdate {
  Tensor w, g, m, v;
  AdamWFactors factors;
};
// Every update once. Those of one type on one device are made together: a device starts one kernel for some fifty
// parameters.
void adamw_(std::span<const AdamWUpdate> updates);

// m = momentum m + (g + weight_decay w);  w = w - lr m
struct SgdFactors {
  double lr, momentum, weight_decay;
};
void momentum_sgd_(const Tensor& w, const Tensor& g, const Tensor& m, const SgdFactors& factors);

// ---- the Stiefel manifold -----------------------------------------------------------------------------------------

// A stack R [k r, d] of k points, matrices of r = block_rows rows that are orthonormal, r <= d; R R^T = I holds for
// each. Vectors have R's shape, type and device. All is computed in f64, whatever the type, and rounded once. Formulas:
// Edelman, Arias and Smith 1998, section 2.4.
enum class StiefelMetric {
  euclidean,  // <u, v> = tr(u v^T);                   gradient G - sym(G R^T) R, sym(A) = (A + A^T) / 2
  canonical,  // <u, v> = tr(u (I - R^T R / 2) v^T);   gradient G - R G^T R
};
// Maps of R + xi, xi tangent at R, to a point near it, orthonormal to a few ulp however long xi is.
enum class StiefelRetraction {
  qr,      // Q of R + xi = L Q, L lower triangular with a positive diagonal; any R + xi
  polar,   // ((R + xi) (R + xi)^T)^(-1/2) (R + xi); any R + xi
  cayley,  // R (I - S/2)^-1 (I + S/2), S = R^T Z - Z^T R, Z = xi (I - R^T R / 2) (Wen and Yin 2013, eq. 7)
};

// The tangent vectors that represent the partial derivatives G; with the Euclidean metric, the projection of any G.
Tensor stiefel_gradient(const Tensor& R, const Tensor& G, std::int64_t block_rows, StiefelMetric metric);
Tensor stiefel_retract(const Tensor& R, const Tensor& xi, std::int64_t block_rows, StiefelRetraction retraction);

// A Riemannian step of each point, with x its gradient:
//   m = momentum m + gradient_factor x;  v = beta2 v + (1 - beta2) <x, x>
//   R' = the retraction of R - length m, length = step_size / (sqrt(v) root_correction + eps)
//   m' = m projected on the tangent space at R'
// Without v (gradient descent) the length is step_size.
struct StiefelFactors {
  StiefelMetric metric;
  StiefelRetraction retraction;
  double momentum, gradient_factor, beta2, step_size, root_correction, eps;
};
struct StiefelUpdate {
  Tensor R, G, m;  // R and m are written
  Tensor v;        // f64 [k] or undefined
  std::int64_t block_rows;
  StiefelFactors factors;
};
// Every update once. Those of one type on one device are made together: a device starts one kernel for all points of
// some thirty stacks, and the host does not wait.
void stiefel_step_(std::span<const StiefelUpdate> updates);

}  // namespace csreft::ops
