#include "autograd/functions/functions.h"

namespace csreft {

namespace {

using ops::Transpose;

// y = x W^T;  dx = dy W, dW = dy^T x. x is kept only if W is trained, and W only if x needs a gradient.
Variable trainable_linear(const Variable& x, const Variable& w) {
  const Tensor kept_x = needs_gradient(w) ? x.value() : Tensor();
  const Tensor kept_w = needs_gradient(x) ? w.value() : Tensor();
  return record("linear", ops::matmul(x.value(), w.value(), Transpose::no, Transpose::yes), {x, w},
                [kept_x, kept_w](BackwardPass& pass) {
                  if (pass.needs(0)) pass.add(0, ops::matmul(pass.dy, kept_w));
                  if (pass.needs(1)) pass.add(1, ops::matmul(pass.dy, kept_x, Transpose::yes));
                });
}

// The same with a frozen, packed W: dx = dy W.
Variable frozen_linear(const Variable& x, const PackedMatrix& w) {
  return record("frozen_linear", w.apply(x.value()), {x},
                [w](BackwardPass& pass) { pass.add(0, w.apply_transposed(pass.dy)); });
}

}  // namespace

Variable linear(const Variable& x, const LinearWeight& weight) {
  if (const auto* packed = std::get_if<PackedMatrix>(&weight)) return frozen_linear(x, *packed);
  return trainable_linear(x, std::get<Variable>(weight));
}

}  // namespace csreft
