#include "autograd/functions/functions.h"

namespace csreft {

// y = w x rstd, rstd = 1 / sqrt(mean(x^2) + eps) in each row;
// dx = rstd (w dy - x rstd^2 mean(w dy x)), dw = sum over the rows of dy x rstd
Variable rms_norm(const Variable& x, const Variable& weight, double eps) {
  const auto [y, rstd] = ops::rms_norm(x.value(), weight.value(), eps);
  return record("rms_norm", y, {x, weight}, [x = x.value(), w = weight.value(), rstd = rstd](BackwardPass& pass) {
    if (pass.needs(0)) pass.add(0, ops::rms_norm_backward(pass.dy, x, w, rstd));
    if (pass.needs(1)) pass.add(1, ops::rms_norm_backward_weight(pass.dy, x, rstd));
  });
}

}  // namespace csreft
