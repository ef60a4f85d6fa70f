// Llama's primitives: what their arguments must be, and the call of a backend.
#include <algorithm>
#include <utility>
#include <vector>

#include "core/ops/dispatch.h"

namespace csreft::ops {

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
  backend(x, &Backend::rms_norm)(x, weight, eps, norm.y, norm.rstd);
  return norm;
}

AddRmsNorm add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, double eps) {
  check_rms_norm("add_rms_norm", a, {});
  checks::like("add_rms_norm", "b", b, a.shape(), a);
  checks::like("add_rms_norm", "weight", weight, {a.cols()}, a);
  AddRmsNorm norm{empty_like(a), empty_like(a), empty_like(a, {a.rows()})};
  backend(a, &Backend::add_rms_norm)(a, b, weight, eps, norm.sum, norm.y, norm.rstd);
  return norm;
}

Tensor rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                         const Tensor& residual) {
  check_rms_norm("rms_norm_backward", x, rstd);
  checks::like("rms_norm_backward", "dy", dy, x.shape(), x);
  checks::like("rms_norm_backward", "weight", weight, {x.cols()}, x);
  if (residual.defined()) checks::like("rms_norm_backward", "residual", residual, x.shape(), x);
  Tensor dx = empty_like(x);
  backend(x, &Backend::rms_norm_backward)(dy, x, weight, rstd, residual, dx);
  return dx;
}

Tensor rms_norm_backward_weight(const Tensor& dy, const Tensor& x, const Tensor& rstd) {
  check_rms_norm("rms_norm_backward_weight", x, rstd);
  checks::like("rms_norm_backward_weight", "dy", dy, x.shape(), x);
  Tensor dw = empty_like(x, {x.cols()});
  backend(x, &Backend::rms_norm_backward_weight)(dy, x, rstd, dw);
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
  backend(x, &Backend::rope)(x, positions, inverse_frequencies, inverse, y);
  return y;
}

namespace {

void check_attention_operands(std::string_view op, const Tensor& q, const Tensor& k, const Tensor& v, DType dtype_of_kv,
                              const AttentionHeads& h) {
  require(h.n_kv_heads > 0 && h.head_dim > 0 && h.n_heads > 0 && h.n_heads % h.n_kv_heads == 0,
          "{}: {} heads of {} components on {} key/value heads, expected a multiple", op, h.n_heads, h.head_dim,
          h.n_kv_heads);
  checks::like(op, "q", q, {q.rows(), h.n_heads * h.head_dim}, q);
  const std::int64_t columns = h.n_kv_heads * h.head_dim;
  for (const Tensor* t : {&k, &v}) {
    require(t->defined() && t->shape().rank() == 2 && t->cols() == columns && t->rows() == k.rows() &&
                t->dtype() == dtype_of_kv && t->device() == q.device(),
            "{}: k and v do not fit q or each other: expected {} [m, {}] on {}", op, name_of(dtype_of_kv), columns,
            to_string(q.device()));
  }
}

void check_attention(std::string_view op, const Tensor& q, const Tensor& k, const Tensor& v,
                     const AttentionLayout& layout, const AttentionHeads& h) {
  checks::real_matrix(op, "q", q);
  check_attention_operands(op, q, k, v, q.dtype(), h);
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
  backend(q, &Backend::attention)(q, k, v, layout, heads, result.out, result.lse);
  return result;
}

Tensor attention_step(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& starts, const Tensor& lengths,
                      std::int64_t longest, const AttentionHeads& heads) {
  constexpr std::string_view op = "attention_step";
  checks::real_matrix(op, "q", q);
  const bool rounded = q.dtype() == DType::f32 && k.defined() && k.dtype() == DType::bf16;
  check_attention_operands(op, q, k, v, rounded ? DType::bf16 : q.dtype(), heads);
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
  backend(q, &Backend::attention_step)(q, k, v, starts, lengths, longest, heads, out);
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
  backend(tokens, &Backend::advance_step)(inputs, tokens, drawn);
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
  backend(q, &Backend::attention_backward)(dout, q, k, v, forward, layout, heads, d.dq, d.dk, d.dv);
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
  backend(logits, &Backend::cross_entropy)(logits, targets, loss);
  return loss;
}

Tensor cross_entropy_with_gradient_(const Tensor& logits, const Tensor& targets) {
  check_cross_entropy("cross_entropy_with_gradient_", logits, targets);
  Tensor loss = empty_like(logits, {logits.rows()});
  backend(logits, &Backend::cross_entropy_with_gradient)(targets, logits, loss);
  return loss;
}

}  // namespace csreft::ops
