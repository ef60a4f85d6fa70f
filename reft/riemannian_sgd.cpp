#include "reft/riemannian_sgd.h"

#include "reft/matrix_view.h"
#include "reft/riemannian_step.h"

namespace csreft {

OptimizerState riemannian_sgd_state(const Tensor& R, std::int64_t block_rows) {
  count_blocks(R, block_rows);
  return {Tensor::zeros(R.shape(), R.options()), {}, 0};
}

void riemannian_sgd_step(Tensor& R, const Tensor& G, OptimizerState& state, double lr, const Manifold& manifold,
                         std::int64_t block_rows, const RiemannianSgdOptions& options) {
  const std::int64_t blocks = check_riemannian_step(R, G, state.first_moment, block_rows);
  const Tensor& momentum = options.start_at_derivatives && state.step == 0 ? G : state.first_moment;
  for_each_block(blocks, block_rows * R.cols(), [&](std::int64_t i) {
    const Tensor point = block_of(R, i, block_rows);
    const Tensor gradient = manifold.gradient(point, block_of(G, i, block_rows));
    const Tensor m = tensor(options.momentum * matrix(block_of(momentum, i, block_rows)) + matrix(gradient));
    const Tensor next = manifold.retract(point, tensor(-lr * matrix(m)));
    assign_block(R, i, block_rows, next);
    assign_block(state.first_moment, i, block_rows, manifold.transport(next, m));
  });
  ++state.step;
}

}  // namespace csreft
