#include <algorithm>

#include "autograd/functions/functions.h"

namespace csreft {

namespace {

using ops::Transpose;

Tensor logits_of(const Tensor& hidden, const LinearWeight& weight) {
  if (const auto* packed = std::get_if<PackedMatrix>(&weight)) return packed->apply(hidden);
  return ops::matmul(hidden, std::get<Variable>(weight).value(), Transpose::no, Transpose::yes);
}

// dhidden = dlogits W
Tensor through_head(const Tensor& dlogits, const LinearWeight& weight) {
  if (const auto* packed = std::get_if<PackedMatrix>(&weight)) return packed->apply_transposed(dlogits);
  return ops::matmul(dlogits, std::get<Variable>(weight).value());
}

}  // namespace

// L = scale sum_i -log softmax(z_i)[t_i], z = hidden W^T;  dz = scale (softmax(z) - onehot(t)),
// dhidden = dz W, dW = dz^T hidden
Variable head_cross_entropy(const Variable& hidden, const LinearWeight& weight, const Tensor& targets, double scale,
                            std::int64_t chunk) {
  require(chunk > 0, "the head works on at least one row at a time: got a chunk of {}", chunk);
  const Tensor& h = hidden.value();
  const std::int64_t n = h.rows();
  require(targets.dtype() == DType::i32 && targets.shape() == Shape{n},
          "{} rows of hidden states need as many targets: got {}", n, targets.shape().str());
  const Variable w = std::holds_alternative<Variable>(weight) ? std::get<Variable>(weight) : Variable();
  const Tensor dhidden = needs_gradient(hidden) ? Tensor::empty(h.shape(), h.options()) : Tensor();
  const Tensor dweight = needs_gradient(w) ? Tensor::zeros(w.shape(), h.options()) : Tensor();

  const Tensor losses = Tensor::empty({n}, h.options());
  for (std::int64_t begin = 0; begin < n; begin += chunk) {
    const std::int64_t end = std::min(n, begin + chunk);
    const Tensor rows = h.slice(begin, end);
    const Tensor logits = logits_of(rows, weight);
    const bool differentiates = dhidden.defined() || dweight.defined();
    ops::copy_(losses.slice(begin, end), differentiates
                                             ? ops::cross_entropy_with_gradient_(logits, targets.slice(begin, end))
                                             : ops::cross_entropy(logits, targets.slice(begin, end)));
    if (dweight.defined()) ops::matmul_add_(dweight, logits, rows, Transpose::yes);
    if (dhidden.defined()) ops::copy_(dhidden.slice(begin, end), through_head(logits, weight));
  }
  return record("head_cross_entropy", ops::scale(ops::sum(losses), scale), {hidden, w},
                [dhidden, dweight, scale](BackwardPass& pass) {
                  const double factor = scale * pass.dy.item();
                  if (pass.needs(0)) pass.add(0, ops::scale(dhidden, factor));
                  if (pass.needs(1)) pass.add(1, ops::scale(dweight, factor));
                });
}

}  // namespace csreft
