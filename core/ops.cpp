#include "core/ops.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/checks.h"
#include "core/cpu/primitives.h"
#include "core/cuda/primitives.h"

namespace csreft::ops {
namespace {

// The function that runs a primitive where its tensors lie. Another backend is one more table and one more case.
template <typename Function>
Function* backend(const Tensor& t, Function* Primitives::*primitive) {
  switch (t.device().type) {
    case DeviceType::cpu: return cpu::primitives().*primitive;
    case DeviceType::cuda: return cuda::primitives().*primitive;
  }
  fail("primitives do not run on {}: expected a tensor on cpu or cuda", to_string(t.device()));
}

// A new tensor with the element type and the device of `other`.
Tensor empty_like(const Tensor& other, const Shape& shape) {
  return Tensor::empty(shape, other.dtype(), other.device());
}
Tensor empty_like(const Tensor& other) { return empty_like(other, other.shape()); }

using UnaryPrimitive = void (*Primitives::*)(const Tensor&, const Tensor&);
using BinaryPrimitive = void (*Primitives::*)(const Tensor&, const Tensor&, const Tensor&);

// y = f(x), elementwise.
Tensor unary(std::string_view op, const Tensor& x, UnaryPrimitive primitive) {
  checks::real(op, "x", x);
  Tensor y = empty_like(x);
  backend(x, primitive)(x, y);
  return y;
}

// y = f(a, b), elementwise.
Tensor binary(std::string_view op, const Tensor& a, const Tensor& b, BinaryPrimitive primitive) {
  checks::real(op, "the first operand", a);
  checks::like(op, "the second operand", b, a.shape(), a);
  Tensor y = empty_like(a);
  backend(a, primitive)(a, b, y);
  return y;
}

// y = f(x, row), row by row.
Tensor broadcast(std::string_view op, const Tensor& x, const Tensor& row, BinaryPrimitive primitive) {
  checks::real_matrix(op, "x", x);
  checks::like(op, "row", row, {x.cols()}, x);
  Tensor y = empty_like(x);
  backend(x, primitive)(x, row, y);
  return y;
}

void check_scatter(std::string_view op, const Tensor& y, const Tensor& index, const Tensor& rows) {
  checks::real_matrix(op, "y", y);
  checks::real_matrix(op, "rows", rows);
  checks::like(op, "rows", rows, {rows.rows(), y.cols()}, y);
  checks::index_beside(op, "index", index, rows.rows(), y);
  checks::below(op, "index", index, y.rows());
}

}  // namespace

// ---- elementwise --------------------------------------------------------------------------------------------------

Tensor add(const Tensor& a, const Tensor& b) { return binary("add", a, b, &Primitives::add); }
Tensor sub(const Tensor& a, const Tensor& b) { return binary("sub", a, b, &Primitives::sub); }
Tensor mul(const Tensor& a, const Tensor& b) { return binary("mul", a, b, &Primitives::mul); }

Tensor scale(const Tensor& x, double factor) {
  checks::real("scale", "x", x);
  Tensor y = empty_like(x);
  backend(x, &Primitives::scale)(x, factor, y);
  return y;
}

void copy_(const Tensor& y, const Tensor& x) {
  if (y.defined() && y.dtype() == DType::i32) {
    checks::index("copy_", "x", x.defined() ? x.view({x.numel()}) : x, y.numel());
    if (y.device().type == DeviceType::cpu && x.device().type == DeviceType::cpu) {
      std::memcpy(y.raw(), x.raw(), x.bytes());
    } else {
      cuda::copy(y.raw(), y.device(), x.raw(), x.device(), x.bytes());
    }
    return;
  }
  checks::real("copy_", "y", y);
  checks::real("copy_", "x", x);
  const Tensor here = x.to(y.device());
  checks::like("copy_", "x", here, y.shape(), y);
  backend(y, &Primitives::copy)(here, y);
}

void add_(const Tensor& y, const Tensor& x) { axpy_(y, 1, x); }

void axpy_(const Tensor& y, double factor, const Tensor& x) {
  checks::real("axpy_", "y", y);
  checks::like("axpy_", "x", x, y.shape(), y);
  backend(y, &Primitives::axpy)(factor, x, y);
}

namespace {

// Throws Error unless the defined ones among the tensors have one real type and lie on one device; returns those.
std::vector<Tensor> defined_and_alike(std::string_view op, std::span<const Tensor> tensors) {
  std::vector<Tensor> defined;
  for (const Tensor& t : tensors) {
    if (!t.defined()) continue;
    checks::real(op, "a tensor", t);
    require(defined.empty() || (t.device() == defined.front().device() && t.dtype() == defined.front().dtype()),
            "{}: tensors of several types or on several devices, expected one of each", op);
    defined.push_back(t);
  }
  return defined;
}

}  // namespace

std::vector<Tensor> scale_all(std::span<const Tensor> tensors, double factor) {
  const std::vector<Tensor> x = defined_and_alike("scale_all", tensors);
  std::vector<Tensor> y, all;
  for (const Tensor& t : tensors) {
    all.push_back(t.defined() ? empty_like(t) : Tensor{});
    if (t.defined()) y.push_back(all.back());
  }
  if (!x.empty()) backend(x.front(), &Primitives::scale_all)(x, factor, y);
  return all;
}

void copy_all_(std::span<const Tensor> y, std::span<const Tensor> x) {
  require(x.size() == y.size(), "copy_all_: {} tensors, expected {}", x.size(), y.size());
  const std::vector<Tensor> from = defined_and_alike("copy_all_", x), to = defined_and_alike("copy_all_", y);
  require(from.size() == x.size() && to.size() == y.size(), "copy_all_: a tensor is undefined, expected none");
  if (x.empty()) return;
  require(from.front().device() == to.front().device(), "copy_all_: x is on {}, expected {}",
          to_string(from.front().device()), to_string(to.front().device()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i].shape() != y[i].shape()) {
      fail("copy_all_: x has shape {}, expected {}", x[i].shape().str(), y[i].shape().str());
    }
  }
  backend(to.front(), &Primitives::copy_all)(from, to);
}

Tensor relu(const Tensor& x) { return unary("relu", x, &Primitives::relu); }
Tensor relu_backward(const Tensor& dy, const Tensor& y) {
  return binary("relu_backward", dy, y, &Primitives::relu_backward);
}
Tensor sigmoid(const Tensor& x) { return unary("sigmoid", x, &Primitives::sigmoid); }
Tensor sigmoid_backward(const Tensor& dy, const Tensor& y) {
  return binary("sigmoid_backward", dy, y, &Primitives::sigmoid_backward);
}
Tensor silu_mul(const Tensor& gate, const Tensor& up) { return binary("silu_mul", gate, up, &Primitives::silu_mul); }

SiluMulGradient silu_mul_backward(const Tensor& dy, const Tensor& gate, const Tensor& up) {
  checks::real("silu_mul_backward", "dy", dy);
  checks::like("silu_mul_backward", "gate", gate, dy.shape(), dy);
  checks::like("silu_mul_backward", "up", up, dy.shape(), dy);
  SiluMulGradient d{empty_like(dy), empty_like(dy)};
  backend(dy, &Primitives::silu_mul_backward)(dy, gate, up, d.dgate, d.dup);
  return d;
}

Tensor binary_entropy(const Tensor& p) { return unary("binary_entropy", p, &Primitives::binary_entropy); }
Tensor binary_entropy_backward(const Tensor& dy, const Tensor& p) {
  return binary("binary_entropy_backward", dy, p, &Primitives::binary_entropy_backward);
}
Tensor xlogx(const Tensor& x) { return unary("xlogx", x, &Primitives::xlogx); }
Tensor xlogx_backward(const Tensor& dy, const Tensor& x) {
  return binary("xlogx_backward", dy, x, &Primitives::xlogx_backward);
}

// ---- rows of a matrix ---------------------------------------------------------------------------------------------

Tensor softmax(const Tensor& x) {
  checks::real_matrix("softmax", "x", x);
  return unary("softmax", x, &Primitives::softmax);
}

Tensor one_hot_rows(const Tensor& x) {
  checks::real_matrix("one_hot_rows", "x", x);
  return unary("one_hot_rows", x, &Primitives::one_hot_rows);
}

Tensor softmax_backward(const Tensor& dy, const Tensor& y) {
  checks::real_matrix("softmax_backward", "y", y);
  return binary("softmax_backward", dy, y, &Primitives::softmax_backward);
}

Tensor add_row(const Tensor& x, const Tensor& row) { return broadcast("add_row", x, row, &Primitives::add_row); }
Tensor mul_row(const Tensor& x, const Tensor& row) { return broadcast("mul_row", x, row, &Primitives::mul_row); }

Tensor sum_rows(const Tensor& x) {
  checks::real_matrix("sum_rows", "x", x);
  Tensor y = empty_like(x, {x.cols()});
  backend(x, &Primitives::sum_rows)(x, y);
  return y;
}

Tensor gather_rows(const Tensor& x, const Tensor& index) {
  checks::real_matrix("gather_rows", "x", x);
  checks::index_beside("gather_rows", "index", index, index.numel(), x);
  checks::below("gather_rows", "index", index, x.rows());
  Tensor y = empty_like(x, {index.numel(), x.cols()});
  backend(x, &Primitives::gather_rows)(x, index, y);
  return y;
}

void scatter_rows_(const Tensor& y, const Tensor& index, const Tensor& rows) {
  check_scatter("scatter_rows_", y, index, rows);
  backend(y, &Primitives::scatter_rows)(index, rows, y);
}

void scatter_add_rows_(const Tensor& y, const Tensor& index, const Tensor& rows) {
  check_scatter("scatter_add_rows_", y, index, rows);
  backend(y, &Primitives::scatter_add_rows)(index, rows, y);
}

Tensor add_rows(const Tensor& x, const Tensor& index, const Tensor& rows) {
  check_scatter("add_rows", x, index, rows);
  std::vector<bool> named(static_cast<std::size_t>(x.rows()));
  for (const auto row : index.span<std::int32_t>()) {
    require(!named[static_cast<std::size_t>(row)], "add_rows: index names row {} twice, expected each row once", row);
    named[static_cast<std::size_t>(row)] = true;
  }
  Tensor y = empty_like(x);
  backend(x, &Primitives::add_rows)(x, index, rows, y);
  return y;
}

Tensor segment_mean(const Tensor& x, const Tensor& offsets) {
  checks::real_matrix("segment_mean", "x", x);
  checks::offsets("segment_mean", "offsets", offsets, x.rows());
  Tensor y = empty_like(x, {offsets.numel() - 1, x.cols()});
  backend(x, &Primitives::segment_mean)(x, offsets, y);
  return y;
}

Tensor segment_mean_backward(const Tensor& dy, const Tensor& offsets) {
  checks::real_matrix("segment_mean_backward", "dy", dy);
  checks::index("segment_mean_backward", "offsets", offsets, dy.rows() + 1);
  const std::int64_t n = offsets.span<std::int32_t>().back();
  checks::offsets("segment_mean_backward", "offsets", offsets, n);
  Tensor dx = empty_like(dy, {n, dy.cols()});
  backend(dy, &Primitives::segment_mean_backward)(dy, offsets, dx);
  return dx;
}

// ---- random numbers -----------------------------------------------------------------------------------------------

void fill_uniform_(const Tensor& y, double low, double high, std::uint64_t seed, std::uint64_t stream) {
  checks::real("fill_uniform_", "y", y);
  backend(y, &Primitives::fill_uniform)(low, high, seed, stream, y);
}

void fill_normal_(const Tensor& y, double mean, double deviation, std::uint64_t seed, std::uint64_t stream) {
  checks::real("fill_normal_", "y", y);
  backend(y, &Primitives::fill_normal)(mean, deviation, seed, stream, y);
}

Tensor dropout(const Tensor& x, double p, std::uint64_t seed, std::uint64_t stream) {
  checks::real("dropout", "x", x);
  require(0.0 <= p && p < 1.0, "dropout: a probability of {}, expected at least 0 and less than 1", p);
  Tensor y = empty_like(x);
  backend(x, &Primitives::dropout)(x, p, seed, stream, y);
  return y;
}

void sample_(const Tensor& logits, const Sampling& sampling, std::uint64_t first_stream, const Tensor& draws,
             const Tensor& tokens) {
  constexpr std::int64_t largest_vocabulary = 1 << 21;
  checks::sampling(sampling);
  checks::real_matrix("sample_", "logits", logits);
  const std::int64_t n = logits.rows();
  require(0 < logits.cols() && logits.cols() <= largest_vocabulary,
          "sample_: a vocabulary of {} tokens, expected at least one and at most {}", logits.cols(),
          largest_vocabulary);
  const auto fits = [&](const Tensor& t, const Shape& shape) {
    return t.defined() && t.dtype() == DType::i32 && t.shape() == shape && t.device() == logits.device();
  };
  require(fits(draws, {n, 2}), "sample_: draws do not fit {} rows of logits, expected i32 [{}, 2] on {}", n, n,
          to_string(logits.device()));
  require(fits(tokens, {n}), "sample_: tokens do not fit {} rows of logits, expected i32 [{}] on {}", n, n,
          to_string(logits.device()));
  backend(logits, &Primitives::sample)(logits, sampling, first_stream, draws, tokens);
}

// ---- reductions ---------------------------------------------------------------------------------------------------

Tensor sum(const Tensor& x) {
  checks::real("sum", "x", x);
  Tensor y = empty_like(x, {1});
  backend(x, &Primitives::sum)(x, y);
  return y;
}

double squared_norm(const Tensor& x) {
  checks::real("squared_norm", "x", x);
  return backend(x, &Primitives::squared_norm)(x);
}

double squared_norms(std::span<const Tensor> tensors) {
  const std::vector<Tensor> defined = defined_and_alike("squared_norms", tensors);
  return defined.empty() ? 0.0 : backend(defined.front(), &Primitives::squared_norms)(defined);
}

// ---- matrix products ----------------------------------------------------------------------------------------------

Tensor matmul(const Tensor& a, const Tensor& b, Transpose transpose_a, Transpose transpose_b) {
  checks::real_matrix("matmul", "a", a);
  checks::real_matrix("matmul", "b", b);
  const std::int64_t m = transpose_a == Transpose::yes ? a.cols() : a.rows();
  const std::int64_t k = transpose_a == Transpose::yes ? a.rows() : a.cols();
  const std::int64_t n = transpose_b == Transpose::yes ? b.rows() : b.cols();
  checks::like("matmul", "b", b, transpose_b == Transpose::yes ? Shape{n, k} : Shape{k, n}, a);
  Tensor y = empty_like(a, {m, n});
  backend(a, &Primitives::matmul)(a, b, transpose_a, transpose_b, false, y);
  return y;
}

void matmul_add_(const Tensor& y, const Tensor& a, const Tensor& b, Transpose transpose_a, Transpose transpose_b) {
  checks::real_matrix("matmul_add_", "y", y);
  checks::real_matrix("matmul_add_", "a", a);
  const std::int64_t m = y.rows(), n = y.cols();
  const std::int64_t k = transpose_a == Transpose::yes ? a.rows() : a.cols();
  checks::like("matmul_add_", "a", a, transpose_a == Transpose::yes ? Shape{k, m} : Shape{m, k}, y);
  checks::like("matmul_add_", "b", b, transpose_b == Transpose::yes ? Shape{n, k} : Shape{k, n}, y);
  backend(y, &Primitives::matmul)(a, b, transpose_a, transpose_b, true, y);
}

namespace {

// A product with a weight that is stored as `dtype`, by a primitive that rounds its factors.
struct RoundedProduct {
  std::string_view op;
  DType dtype;
  decltype(Primitives::matmul_bf16) Primitives::*primitive;

  // [m, n] of y = x op(weight), x [m, k].
  Shape shape(const Tensor& x, const Tensor& weight, Transpose transpose_weight) const {
    require(x.defined() && x.shape().rank() == 2, "{}: x is no matrix: expected [m, k]", op);
    require(x.dtype() == DType::f32 || x.dtype() == dtype, "{}: x is {}, expected f32{}", op, name_of(x.dtype()),
            dtype == DType::f32 ? "" : fmt::format(" or {}", name_of(dtype)));
    const bool transposed = transpose_weight == Transpose::yes;
    require(weight.defined() && weight.dtype() == dtype && weight.shape().rank() == 2 &&
                weight.device() == x.device() && weight.shape()[transposed ? 1 : 0] == x.cols(),
            "{}: the weight does not fit x [{}, {}] on {}: expected a matrix of {} with as many {}", op, x.rows(),
            x.cols(), to_string(x.device()), name_of(dtype), transposed ? "columns" : "rows");
    return {x.rows(), weight.shape()[transposed ? 0 : 1]};
  }

  Tensor make(const Tensor& x, const Tensor& weight, Transpose transpose_weight) const {
    Tensor y = Tensor::empty(shape(x, weight, transpose_weight), DType::f32, x.device());
    backend(x, primitive)(x, weight, transpose_weight, false, y);
    return y;
  }
  void add(const Tensor& y, const Tensor& x, const Tensor& weight, Transpose transpose_weight) const {
    const Shape expected = shape(x, weight, transpose_weight);
    require(y.defined() && y.shape() == expected && y.dtype() == DType::f32 && y.device() == x.device(),
            "{}: y does not fit the product: expected f32 {} on {}", op, expected.str(), to_string(x.device()));
    backend(x, primitive)(x, weight, transpose_weight, true, y);
  }
};

constexpr RoundedProduct bf16_product{"matmul_bf16", DType::bf16, &Primitives::matmul_bf16};
constexpr RoundedProduct tf32_product{"matmul_tf32", DType::f32, &Primitives::matmul_tf32};

}  // namespace

Tensor matmul_bf16(const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  return bf16_product.make(x, weight, transpose_weight);
}
void matmul_bf16_add_(const Tensor& y, const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  bf16_product.add(y, x, weight, transpose_weight);
}

Tensor matmul_tf32(const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  return tf32_product.make(x, weight, transpose_weight);
}
void matmul_tf32_add_(const Tensor& y, const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  tf32_product.add(y, x, weight, transpose_weight);
}

// ---- gated low-rank edits -----------------------------------------------------------------------------------------

namespace {

void check_gate(std::string_view op, const Tensor& u, const Tensor& alpha, const Tensor& example) {
  checks::real_matrix(op, "u", u);
  checks::real_matrix(op, "alpha", alpha);
  checks::like(op, "alpha", alpha, alpha.shape(), u);
  require(alpha.cols() > 0 && u.cols() % alpha.cols() == 0, "{}: u has {} columns, expected a multiple of alpha's {}",
          op, u.cols(), alpha.cols());
  checks::index(op, "example", example, u.rows());
  checks::below(op, "example", example, alpha.rows());
}

}  // namespace

Tensor low_rank_gate_(const Tensor& u, const Tensor& b, const Tensor& alpha, const Tensor& example) {
  constexpr std::string_view op = "low_rank_gate_";
  checks::real_matrix(op, "u", u);
  if (b.defined()) checks::like(op, "b", b, {u.cols()}, u);
  if (alpha.defined()) check_gate(op, u, alpha, example);
  const Tensor gated = alpha.defined() ? empty_like(u) : u;
  if (b.defined() || alpha.defined()) backend(u, &Primitives::low_rank_gate)(b, alpha, example, u, gated);
  return gated;
}

LowRankGateGradient low_rank_gate_backward(const Tensor& c, const Tensor& u, const Tensor& alpha,
                                           const Tensor& example) {
  constexpr std::string_view op = "low_rank_gate_backward";
  check_gate(op, u, alpha, example);
  checks::like(op, "c", c, u.shape(), u);
  LowRankGateGradient d{empty_like(u), empty_like(u, {u.cols()}), empty_like(alpha)};
  backend(u, &Primitives::low_rank_gate_backward)(c, u, alpha, example, d.gated_c, d.db, d.dalpha);
  return d;
}

// ---- Llama --------------------------------------------------------------------------------------------------------

namespace {

void check_rms_norm(std::string_view op, const Tensor& x, const Tensor& rstd) {
  checks::real_matrix(op, "x", x);
  require(x.cols() > 0, "{}: x has {} columns, expected at least one", op, x.cols());
  if (rstd.defined()) checks::like(op, "rstd", rstd, {x.rows()}, x);
}

}  // namespace

RmsNorm rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  check_rms_norm("rms_norm", x, {});
  checks::like("rms_norm", "weight", weight, {x.cols()}, x);
  RmsNorm norm{empty_like(x), empty_like(x, {x.rows()})};
  backend(x, &Primitives::rms_norm)(x, weight, eps, norm.y, norm.rstd);
  return norm;
}

AddRmsNorm add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, double eps) {
  check_rms_norm("add_rms_norm", a, {});
  checks::like("add_rms_norm", "b", b, a.shape(), a);
  checks::like("add_rms_norm", "weight", weight, {a.cols()}, a);
  AddRmsNorm norm{empty_like(a), empty_like(a), empty_like(a, {a.rows()})};
  backend(a, &Primitives::add_rms_norm)(a, b, weight, eps, norm.sum, norm.y, norm.rstd);
  return norm;
}

Tensor rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                         const Tensor& residual) {
  check_rms_norm("rms_norm_backward", x, rstd);
  checks::like("rms_norm_backward", "dy", dy, x.shape(), x);
  checks::like("rms_norm_backward", "weight", weight, {x.cols()}, x);
  if (residual.defined()) checks::like("rms_norm_backward", "residual", residual, x.shape(), x);
  Tensor dx = empty_like(x);
  backend(x, &Primitives::rms_norm_backward)(dy, x, weight, rstd, residual, dx);
  return dx;
}

Tensor rms_norm_backward_weight(const Tensor& dy, const Tensor& x, const Tensor& rstd) {
  check_rms_norm("rms_norm_backward_weight", x, rstd);
  checks::like("rms_norm_backward_weight", "dy", dy, x.shape(), x);
  Tensor dw = empty_like(x, {x.cols()});
  backend(x, &Primitives::rms_norm_backward_weight)(dy, x, rstd, dw);
  return dw;
}

Tensor rope(const Tensor& x, const Tensor& positions, const Tensor& inverse_frequencies, bool inverse) {
  checks::real_matrix("rope", "x", x);
  checks::index_beside("rope", "positions", positions, x.rows(), x);
  require(inverse_frequencies.defined() && inverse_frequencies.dtype() == DType::f64 &&
              inverse_frequencies.numel() > 0 && x.cols() % (2 * inverse_frequencies.numel()) == 0,
          "rope: {} inverse frequencies do not fit rows of {} components, expected f64 [head_dim / 2]",
          inverse_frequencies.defined() ? inverse_frequencies.numel() : 0, x.cols());
  Tensor y = empty_like(x);
  backend(x, &Primitives::rope)(x, positions, inverse_frequencies, inverse, y);
  return y;
}

namespace {

void check_attention_operands(std::string_view op, const Tensor& q, const Tensor& k, const Tensor& v,
                              const AttentionHeads& h) {
  require(h.n_kv_heads > 0 && h.head_dim > 0 && h.n_heads > 0 && h.n_heads % h.n_kv_heads == 0,
          "{}: {} heads of {} components on {} key/value heads, expected a multiple", op, h.n_heads, h.head_dim,
          h.n_kv_heads);
  checks::real_matrix(op, "q", q);
  checks::real_matrix(op, "k", k);
  checks::like(op, "q", q, {q.rows(), h.n_heads * h.head_dim}, q);
  checks::like(op, "k", k, {k.rows(), h.n_kv_heads * h.head_dim}, q);
  checks::like(op, "v", v, k.shape(), q);
}

void check_attention(std::string_view op, const Tensor& q, const Tensor& k, const Tensor& v,
                     const AttentionLayout& layout, const AttentionHeads& h) {
  check_attention_operands(op, q, k, v, h);
  checks::offsets(op, "q_offsets", layout.q_offsets, q.rows());
  const std::int64_t n = layout.q_offsets.numel() - 1;
  checks::index(op, "k_starts", layout.k_starts, n);
  checks::index(op, "k_lengths", layout.k_lengths, n);
  const auto* q_offset = layout.q_offsets.data<std::int32_t>();
  const auto* start = layout.k_starts.data<std::int32_t>();
  const auto* length = layout.k_lengths.data<std::int32_t>();
  for (std::int64_t s = 0; s < n; ++s) {
    require(
        0 <= start[s] && start[s] + std::int64_t{length[s]} <= k.rows() && length[s] >= q_offset[s + 1] - q_offset[s],
        "{}: sequence {} has {} queries and keys [{}, {}), expected at least as many keys within {} rows", op, s,
        q_offset[s + 1] - q_offset[s], start[s], start[s] + std::int64_t{length[s]}, k.rows());
  }
}

// Two sequences that share keys would both add to the same gradient.
void check_disjoint_keys(const AttentionLayout& layout) {
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  for (std::int64_t s = 0; s < layout.k_starts.numel(); ++s) {
    const std::int64_t start = layout.k_starts.data<std::int32_t>()[s],
                       length = layout.k_lengths.data<std::int32_t>()[s];
    if (length > 0) ranges.emplace_back(start, start + length);
  }
  std::ranges::sort(ranges);
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    require(ranges[i - 1].second <= ranges[i].first,
            "attention_backward: two sequences share key row {}, expected keys of their own", ranges[i].first);
  }
}

}  // namespace

Attention attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLayout& layout,
                    const AttentionHeads& heads) {
  check_attention("attention", q, k, v, layout, heads);
  Attention result{empty_like(q), empty_like(q, {q.rows(), heads.n_heads})};
  backend(q, &Primitives::attention)(q, k, v, layout, heads, result.out, result.lse);
  return result;
}

Tensor attention_step(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& starts, const Tensor& lengths,
                      std::int64_t longest, const AttentionHeads& heads) {
  constexpr std::string_view op = "attention_step";
  check_attention_operands(op, q, k, v, heads);
  checks::index_beside(op, "starts", starts, q.rows(), q);
  checks::index_beside(op, "lengths", lengths, q.rows(), q);
  require(starts.device() == q.device() && lengths.device() == q.device(),
          "{}: starts and lengths are not on {}: expected them where q is", op, to_string(q.device()));
  require(0 < longest && longest <= k.rows(), "{}: up to {} of {} keys, expected 1 to all of them", op, longest,
          k.rows());
  if (q.device().type == DeviceType::cpu) {
    for (std::int64_t s = 0; s < q.rows(); ++s) {
      const std::int64_t start = starts.data<std::int32_t>()[s], length = lengths.data<std::int32_t>()[s];
      require(0 <= start && 0 < length && length <= longest && start + length <= k.rows(),
              "{}: sequence {} sees keys [{}, {}), expected 1 to {} within {} rows", op, s, start, start + length,
              longest, k.rows());
    }
  }
  Tensor out = empty_like(q);
  backend(q, &Primitives::attention_step)(q, k, v, starts, lengths, longest, heads, out);
  return out;
}

void advance_step_(const StepInputs& inputs, const Tensor& tokens, const Tensor& drawn) {
  constexpr std::string_view op = "advance_step_";
  const std::int64_t n = tokens.numel();
  checks::index(op, "tokens", tokens, n);
  checks::like(op, "ids", inputs.ids, {n}, tokens);
  checks::like(op, "positions", inputs.positions, {n}, tokens);
  checks::like(op, "cache_rows", inputs.cache_rows, {n}, tokens);
  checks::like(op, "lengths", inputs.lengths, {n}, tokens);
  checks::like(op, "growth", inputs.growth, {n}, tokens);
  checks::like(op, "steps", inputs.steps, {n}, tokens);
  checks::like(op, "drawn", drawn, {drawn.rows(), n}, tokens);
  checks::below(op, "steps", inputs.steps, drawn.rows());
  backend(tokens, &Primitives::advance_step)(inputs, tokens, drawn);
}

AttentionGradient attention_backward(const Tensor& dout, const Tensor& q, const Tensor& k, const Tensor& v,
                                     const Attention& forward, const AttentionLayout& layout,
                                     const AttentionHeads& heads) {
  check_attention("attention_backward", q, k, v, layout, heads);
  check_disjoint_keys(layout);
  checks::like("attention_backward", "dout", dout, q.shape(), q);
  checks::like("attention_backward", "out", forward.out, q.shape(), q);
  checks::like("attention_backward", "lse", forward.lse, {q.rows(), heads.n_heads}, q);
  AttentionGradient d{empty_like(q), empty_like(k), empty_like(v)};
  backend(q, &Primitives::attention_backward)(dout, q, k, v, forward, layout, heads, d.dq, d.dk, d.dv);
  return d;
}

namespace {

void check_cross_entropy(std::string_view op, const Tensor& logits, const Tensor& targets) {
  checks::real_matrix(op, "logits", logits);
  checks::index(op, "targets", targets, logits.rows());
  checks::below(op, "targets", targets, logits.cols());
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& targets) {
  check_cross_entropy("cross_entropy", logits, targets);
  Tensor loss = empty_like(logits, {logits.rows()});
  backend(logits, &Primitives::cross_entropy)(logits, targets, loss);
  return loss;
}

Tensor cross_entropy_with_gradient_(const Tensor& logits, const Tensor& targets) {
  check_cross_entropy("cross_entropy_with_gradient_", logits, targets);
  Tensor loss = empty_like(logits, {logits.rows()});
  backend(logits, &Primitives::cross_entropy_with_gradient)(targets, logits, loss);
  return loss;
}

// ---- optimizer steps ----------------------------------------------------------------------------------------------

namespace {

// Gives the updates whose tensor `written` has one type and one device to the primitive there, together.
template <typename Update>
void for_alike(std::span<const Update> updates, Tensor Update::*written,
               void (*Primitives::*primitive)(std::span<const Update>)) {
  std::vector<Update> left(updates.begin(), updates.end());
  while (!left.empty()) {
    const Tensor first = left.front().*written;
    const auto other = std::ranges::stable_partition(left, [&](const Update& update) {
      return (update.*written).dtype() == first.dtype() && (update.*written).device() == first.device();
    });
    backend(first, primitive)(std::span(left.begin(), other.begin()));
    left.erase(left.begin(), other.begin());
  }
}

}  // namespace

void adamw_(std::span<const AdamWUpdate> updates) {
  for (const auto& [w, g, m, v, factors] : updates) {
    checks::real("adamw_", "w", w);
    checks::like("adamw_", "g", g, w.shape(), w);
    checks::like("adamw_", "m", m, w.shape(), w);
    checks::like("adamw_", "v", v, w.shape(), w);
  }
  for_alike(updates, &AdamWUpdate::w, &Primitives::adamw);
}

void momentum_sgd_(const Tensor& w, const Tensor& g, const Tensor& m, const SgdFactors& factors) {
  checks::real("momentum_sgd_", "w", w);
  checks::like("momentum_sgd_", "g", g, w.shape(), w);
  checks::like("momentum_sgd_", "m", m, w.shape(), w);
  backend(w, &Primitives::momentum_sgd)(g, factors, m, w);
}

// ---- the Stiefel manifold -----------------------------------------------------------------------------------------

namespace {

void check_stack(std::string_view op, const Tensor& R, std::int64_t block_rows) {
  checks::real_matrix(op, "R", R);
  require(block_rows > 0 && R.rows() % block_rows == 0 && block_rows <= R.cols(),
          "{}: R is [{}, {}] in blocks of {} rows, expected a multiple of the block's rows, which are at most {}", op,
          R.rows(), R.cols(), block_rows, R.cols());
}

}  // namespace

Tensor stiefel_gradient(const Tensor& R, const Tensor& G, std::int64_t block_rows, StiefelMetric metric) {
  check_stack("stiefel_gradient", R, block_rows);
  checks::like("stiefel_gradient", "G", G, R.shape(), R);
  Tensor X = empty_like(R);
  backend(R, &Primitives::stiefel_gradient)(R, G, block_rows, metric, X);
  return X;
}

Tensor stiefel_retract(const Tensor& R, const Tensor& xi, std::int64_t block_rows, StiefelRetraction retraction) {
  check_stack("stiefel_retract", R, block_rows);
  checks::like("stiefel_retract", "xi", xi, R.shape(), R);
  Tensor Y = empty_like(R);
  backend(R, &Primitives::stiefel_retract)(R, xi, block_rows, retraction, Y);
  return Y;
}

void stiefel_step_(std::span<const StiefelUpdate> updates) {
  constexpr std::string_view op = "stiefel_step_";
  for (const auto& [R, G, m, v, block_rows, factors] : updates) {
    check_stack(op, R, block_rows);
    checks::like(op, "G", G, R.shape(), R);
    checks::like(op, "m", m, R.shape(), R);
    require(!v.defined() ||
                (v.dtype() == DType::f64 && v.shape() == Shape{R.rows() / block_rows} && v.device() == R.device()),
            "{}: v does not fit {} blocks: expected f64 [{}] on {}", op, R.rows() / block_rows, R.rows() / block_rows,
            to_string(R.device()));
  }
  for_alike(updates, &StiefelUpdate::R, &Primitives::stiefel_step);
}

}  // namespace csreft::ops
