#include "reft/riemannian_adam.h"

#include <cmath>

#include "reft/matrix_view.h"
#include "reft/riemannian_step.h"

namespace csreft {

OptimizerState riemannian_adam_state(const Tensor& R, std::int64_t block_rows) {
  return {Tensor::zeros(R.shape(), R.options()), Tensor::zeros({count_blocks(R, block_rows)}, DType::f64), 0};
}

void riemannian_adam_step(Tensor& R, const Tensor& G, OptimizerState& state, double lr, const Manifold& manifold,
                          std::int64_t block_rows, const RiemannianAdamOptions& options) {
  const std::int64_t blocks = check_riemannian_step(R, G, state.first_moment, block_rows);
  require(state.second_moment.defined() && state.second_moment.shape() == Shape{blocks} &&
              state.second_moment.dtype() == DType::f64,
          "a second moment of shape {} and type {} does not fit {} blocks: expected f64 [{}]",
          state.second_moment.shape().str(), name_of(state.second_moment.dtype()), blocks, blocks);
  const auto t = static_cast<double>(state.step + 1);
  const double correction1 = 1.0 - std::pow(options.beta1, t);
  const double correction2 = 1.0 - std::pow(options.beta2, t);
  const auto v = state.second_moment.span<double>();

  for_each_block(blocks, block_rows * R.cols(), [&](std::int64_t i) {
    const Tensor point = block_of(R, i, block_rows);
    const Tensor gradient = manifold.gradient(point, block_of(G, i, block_rows));
    const Tensor m = tensor(options.beta1 * matrix(block_of(state.first_moment, i, block_rows)) +
                            (1.0 - options.beta1) * matrix(gradient));
    double& v_i = v[static_cast<std::size_t>(i)];
    v_i = options.beta2 * v_i + (1.0 - options.beta2) * manifold.inner(point, gradient, gradient);
    const double step_size = lr / correction1 / (std::sqrt(v_i / correction2) + options.eps);
    const Tensor next = manifold.retract(point, tensor(-step_size * matrix(m)));
    assign_block(R, i, block_rows, next);
    assign_block(state.first_moment, i, block_rows, manifold.transport(next, m));
  });
  ++state.step;
}

}  // namespace csreft
