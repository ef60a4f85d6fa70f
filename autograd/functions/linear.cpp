#include "autograd/functions/functions.h"

namespace csreft {

namespace {

using ops::Transpose;

// y = x W^T;  dx = dy W, dW = dy^T x. x is kept only if W is trained, and W only if x needs a gradient. dx is added
// within the product to what has reached x by other ways.
Variable trainable_linear(const Variable& x, const Variable& w) {
  const Tensor kept_x = needs_gradient(w) ? x.value() : Tensor();
  const Tensor kept_w = needs_gradient(x) ? w.value() : Tensor();
  return record("linear", ops::matmul(x.value(), w.value(), Transpose::no, Transpose::yes), {x, w},
                [kept_x, kept_w](BackwardPass& pass) {
                  pass.add(
                      0, [&](const Tensor& dx) { ops::matmul_add_(dx, pass.dy, kept_w); },
                      [&] { return ops::matmul(pass.dy, kept_w); });
                  if (pass.needs(1)) pass.add(1, ops::matmul(pass.dy, kept_x, Transpose::yes));
                });
}

// The same with a frozen, packed W, of a factor that has the value of x, or this rounded as the product does it.
Variable frozen_linear(const Variable& x, const Tensor& factor, const PackedMatrix& w) {
  return record("frozen_linear", w.apply(factor), {x}, [w](BackwardPass& pass) {
    pass.add(
        0, [&](const Tensor& dx) { w.apply_transposed_add_(dx, pass.dy); },
        [&] { return w.apply_transposed(pass.dy); });
  });
}

}  // namespace

std::vector<Variable> linears(const Variable& x, std::initializer_list<LinearWeight> weights) {
  std::vector<Variable> all;
  Tensor factor = x.value();
  for (const LinearWeight& weight : weights) {
    if (const auto* packed = std::get_if<PackedMatrix>(&weight)) {
      if (factor.dtype() != packed->factor_dtype()) factor = x.value().to(packed->factor_dtype());
      all.push_back(frozen_linear(x, factor, *packed));
    } else {
      all.push_back(trainable_linear(x, std::get<Variable>(weight)));
    }
  }
  return all;
}

Variable linear(const Variable& x, const LinearWeight& weight) { return linears(x, {weight}).front(); }

}  // namespace csreft
