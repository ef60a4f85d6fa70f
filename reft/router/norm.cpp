#include "reft/router/norm.h"

#include <cmath>

#include "core/ops/ops.h"

namespace csreft {
RouterNorm make_router_norm(std::int64_t hidden, const TensorOptions& tensors) {
  return {{"router_norm.mean", Tensor::zeros({hidden}, tensors)},
          {"router_norm.scale", Tensor::full({hidden}, 1.0, tensors)}};
}

void fit_router_norm(RouterNorm& norm, const Tensor& inputs) {
  const Tensor x = inputs.to(DType::f64).to(Device{});
  const double n = static_cast<double>(x.rows());
  const Tensor mean = ops::scale(ops::sum_rows(x), 1.0 / n);
  const Tensor centred = ops::add_row(x, ops::scale(mean, -1.0));
  const Tensor scale = ops::scale(ops::sum_rows(ops::mul(centred, centred)), 1.0 / n);
  for (double& v : scale.span<double>()) v = v > 1e-12 ? 1.0 / std::sqrt(v) : 1.0;
  ops::copy_(norm[0].second, mean.to(norm[0].second.dtype()));
  ops::copy_(norm[1].second, scale.to(norm[1].second.dtype()));
}

Tensor standardise(std::span<const std::pair<std::string, Tensor>> norm, const Tensor& x) {
  return ops::mul_row(ops::add_row(x, ops::scale(norm[0].second, -1.0)), norm[1].second);
}

}  // namespace csreft
