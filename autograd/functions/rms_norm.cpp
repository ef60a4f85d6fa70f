#include "autograd/functions/functions.h"

namespace csreft {
namespace {

// dx = rstd (w dy - x rstd^2 mean(w dy x)), dw = sum over the rows of dy x rstd. The first is added to what has reached
// x by other ways, in one pass.
Backward backward_of_norm(const Tensor& x, const Tensor& weight, const Tensor& rstd) {
  return [=](BackwardPass& pass) {
    if (pass.needs(0)) pass.replace(0, ops::rms_norm_backward(pass.dy, x, weight, rstd, pass.so_far(0)));
    if (pass.needs(1)) pass.add(1, ops::rms_norm_backward_weight(pass.dy, x, rstd));
  };
}

}  // namespace

// y = w x rstd, rstd = 1 / sqrt(mean(x^2) + eps) in each row
Variable rms_norm(const Variable& x, const Variable& weight, double eps) {
  const auto [y, rstd] = ops::rms_norm(x.value(), weight.value(), eps);
  return record("rms_norm", y, {x, weight}, backward_of_norm(x.value(), weight.value(), rstd));
}

// x = a + b, y as above;  da = db = dx: what goes on beside the norm, and what comes through it.
AddedAndNormed add_rms_norm(const Variable& a, const Variable& b, const Variable& weight, double eps) {
  const auto [x, y, rstd] = ops::add_rms_norm(a.value(), b.value(), weight.value(), eps);
  const Variable sum = record("add", x, {a, b}, [](BackwardPass& pass) {
    pass.add(0, pass.dy);
    pass.add(1, pass.dy);
  });
  return {sum, record("rms_norm", y, {sum, weight}, backward_of_norm(x, weight.value(), rstd))};
}

}  // namespace csreft
