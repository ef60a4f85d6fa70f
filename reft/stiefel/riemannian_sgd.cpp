#include "reft/stiefel/riemannian_sgd.h"

#include "reft/matrix_view.h"

namespace csreft {
namespace {

// On the host, with the functions of a manifold.
void step(const RiemannianUpdate& update, const Manifold& manifold, const RiemannianSgdOptions& options) {
  const std::int64_t rows = update.block_rows;
  for_each_block(count_blocks(update.R, rows), rows * update.R.cols(), [&](std::int64_t i) {
    const Tensor point = block_of(update.R, i, rows);
    const Tensor gradient = manifold.gradient(point, block_of(update.G, i, rows));
    const Tensor m =
        tensor(options.momentum * matrix(block_of(update.state->first_moment, i, rows)) + matrix(gradient));
    const Tensor next = manifold.retract(point, tensor(-update.lr * matrix(m)));
    assign_block(update.R, i, rows, next);
    assign_block(update.state->first_moment, i, rows, manifold.transport(next, m));
  });
}

}  // namespace

OptimizerState riemannian_sgd_state(const Tensor& R, std::int64_t block_rows) {
  count_blocks(R, block_rows);
  return {Tensor::zeros(R.shape(), R.options()), {}, 0};
}

void riemannian_sgd_steps(std::span<const RiemannianUpdate> updates, const Manifold& manifold,
                          const RiemannianSgdOptions& options) {
  for (const RiemannianUpdate& update : updates) check_riemannian_update(update);
  for (const auto& [R, G, state, lr, block_rows] : updates) {
    if (options.start_at_derivatives && state->step == 0) ops::copy_(state->first_moment, G);
  }
  const auto factors = [&](const RiemannianUpdate& u) {
    return ops::StiefelFactors{.metric = manifold.primitive->metric,
                               .retraction = manifold.primitive->retraction,
                               .momentum = options.momentum,
                               .gradient_factor = 1.0,
                               .beta2 = 0.0,
                               .step_size = u.lr,
                               .root_correction = 1.0,
                               .eps = 0.0};
  };
  riemannian_steps(updates, manifold, factors, [&](const RiemannianUpdate& u) { step(u, manifold, options); });
}

void riemannian_sgd_step(Tensor& R, const Tensor& G, OptimizerState& state, double lr, const Manifold& manifold,
                         std::int64_t block_rows, const RiemannianSgdOptions& options) {
  const RiemannianUpdate update{R, G, &state, lr, block_rows};
  check_riemannian_update(update);
  check_finite(G);
  riemannian_sgd_steps({&update, 1}, manifold, options);
}

}  // namespace csreft
