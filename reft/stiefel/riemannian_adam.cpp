#include "reft/stiefel/riemannian_adam.h"

#include <cmath>

#include "reft/matrix_view.h"

namespace csreft {
namespace {

// 1 / (1 - beta^t): what a moving average that starts at zero lacks after t steps.
double correction(double beta, const OptimizerState& state) {
  return 1.0 / (1.0 - std::pow(beta, static_cast<double>(state.step + 1)));
}

void check(const RiemannianUpdate& update) {
  const std::int64_t blocks = check_riemannian_update(update);
  const Tensor& v = update.state->second_moment;
  require(v.defined() && v.shape() == Shape{blocks} && v.dtype() == DType::f64 && v.device() == update.R.device(),
          "a second moment of shape {} and type {} does not fit {} blocks on {}: expected f64 [{}]", v.shape().str(),
          name_of(v.dtype()), blocks, to_string(update.R.device()), blocks);
}

// On the host, with the functions of a manifold.
void step(const RiemannianUpdate& update, const Manifold& manifold, const RiemannianAdamOptions& options) {
  const auto& [R, G, state, lr, block_rows] = update;
  const double correction1 = correction(options.beta1, *state), correction2 = correction(options.beta2, *state);
  for_each_block(count_blocks(R, block_rows), block_rows * R.cols(), [&, rows = block_rows](std::int64_t i) {
    const Tensor point = block_of(update.R, i, rows);
    const Tensor gradient = manifold.gradient(point, block_of(update.G, i, rows));
    const Tensor m = tensor(options.beta1 * matrix(block_of(update.state->first_moment, i, rows)) +
                            (1.0 - options.beta1) * matrix(gradient));
    double& v = update.state->second_moment.data<double>()[i];
    v = options.beta2 * v + (1.0 - options.beta2) * manifold.inner(point, gradient, gradient);
    const double length = update.lr * correction1 / (std::sqrt(v * correction2) + options.eps);
    const Tensor next = manifold.retract(point, tensor(-length * matrix(m)));
    assign_block(update.R, i, rows, next);
    assign_block(update.state->first_moment, i, rows, manifold.transport(next, m));
  });
}

}  // namespace

OptimizerState riemannian_adam_state(const Tensor& R, std::int64_t block_rows) {
  return {Tensor::zeros(R.shape(), R.options()), Tensor::zeros({count_blocks(R, block_rows)}, {DType::f64, R.device()}),
          0};
}

void riemannian_adam_steps(std::span<const RiemannianUpdate> updates, const Manifold& manifold,
                           const RiemannianAdamOptions& options) {
  for (const RiemannianUpdate& update : updates) check(update);
  const auto factors = [&](const RiemannianUpdate& u) {
    return ops::StiefelFactors{.metric = manifold.primitive->metric,
                               .retraction = manifold.primitive->retraction,
                               .momentum = options.beta1,
                               .gradient_factor = 1.0 - options.beta1,
                               .beta2 = options.beta2,
                               .step_size = u.lr * correction(options.beta1, *u.state),
                               .root_correction = std::sqrt(correction(options.beta2, *u.state)),
                               .eps = options.eps};
  };
  riemannian_steps(updates, manifold, factors, [&](const RiemannianUpdate& u) { step(u, manifold, options); });
}

void riemannian_adam_step(Tensor& R, const Tensor& G, OptimizerState& state, double lr, const Manifold& manifold,
                          std::int64_t block_rows, const RiemannianAdamOptions& options) {
  const RiemannianUpdate update{R, G, &state, lr, block_rows};
  check(update);
  check_finite(G);
  riemannian_adam_steps({&update, 1}, manifold, options);
}

}  // namespace csreft
