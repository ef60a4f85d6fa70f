// Reductions: what their arguments must be, and the call of a backend.
#include <vector>

#include "core/ops/dispatch.h"

namespace csreft::ops {

Tensor sum(const Tensor& x) {
  checks::real("sum", "x", x);
  Tensor y = empty_like(x, {1});
  backend(x, &Backend::sum)(x, y);
  return y;
}

Tensor abs_sum(const Tensor& x) {
  checks::real("abs_sum", "x", x);
  Tensor y = empty_like(x, {1});
  backend(x, &Backend::abs_sum)(x, y);
  return y;
}

double squared_norm(const Tensor& x) {
  checks::real("squared_norm", "x", x);
  return backend(x, &Backend::squared_norm)(x);
}

double squared_norms(std::span<const Tensor> tensors) {
  const std::vector<Tensor> defined = defined_and_alike("squared_norms", tensors);
  return defined.empty() ? 0.0 : backend(defined.front(), &Backend::squared_norms)(defined);
}

}  // namespace csreft::ops
