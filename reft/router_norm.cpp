#include "reft/router_norm.h"

#include <cmath>

namespace csreft {
namespace {

// The router's input of every prompt, [prompts, d].
Tensor read_all(const RouterInput& input, const Llama& model, std::span<const std::vector<std::int32_t>> prompts) {
  constexpr std::size_t at_once = 64;
  const auto n = static_cast<std::int64_t>(prompts.size());
  Tensor all = Tensor::empty({n, model.config().hidden_size}, model.dtype());
  for (std::size_t begin = 0; begin < prompts.size(); begin += at_once) {
    const auto some = prompts.subspan(begin, std::min(at_once, prompts.size() - begin));
    const TokenBatch batch = pack_tokens(some);
    const auto first = static_cast<std::int64_t>(begin);
    ops::copy_(all.slice(first, first + static_cast<std::int64_t>(some.size())),
               input.read(model, batch, whole_prompts(batch)));
  }
  return all;
}

}  // namespace

RouterNorm make_router_norm(std::int64_t hidden, DType dtype) {
  return {{"router_norm.mean", Tensor::zeros({hidden}, dtype)},
          {"router_norm.scale", Tensor::full({hidden}, 1.0, dtype)}};
}

void fit_router_norm(RouterNorm& norm, const RouterInput& input, const Llama& model,
                     std::span<const std::vector<std::int32_t>> prompts) {
  const Tensor x = read_all(input, model, prompts).to(DType::f64);
  const double n = static_cast<double>(x.rows());
  const Tensor mean = ops::scale(ops::sum_rows(x), 1.0 / n);
  const Tensor centred = ops::add_row(x, ops::scale(mean, -1.0));
  const Tensor scale = ops::scale(ops::sum_rows(ops::mul(centred, centred)), 1.0 / n);
  for (double& v : scale.span<double>()) v = v > 1e-12 ? 1.0 / std::sqrt(v) : 1.0;
  ops::copy_(norm[0].second, mean.to(norm[0].second.dtype()));
  ops::copy_(norm[1].second, scale.to(norm[1].second.dtype()));
}

Tensor standardise(const RouterNorm& norm, const Tensor& x) {
  return ops::mul_row(ops::add_row(x, ops::scale(norm[0].second, -1.0)), norm[1].second);
}

}  // namespace csreft
