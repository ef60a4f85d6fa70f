// What the Riemannian optimizers share: the manifold that options choose, and the steps on it.
#pragma once

#include <concepts>
#include <span>
#include <string>
#include <vector>

#include "reft/stiefel/manifold.h"
#include "reft/stiefel/optimizers/optimizer_rule.h"

namespace csreft {

struct ManifoldOptions {
  std::string metric = "euclidean";
  std::string retraction = "qr";

  void describe(Options& options);
};

// A zero first moment of R's shape and type; with `second_moment` a zero f64 [k], too, a number for each of k blocks.
// Throws Error unless the blocks are orthonormal to 1e-4: these optimizers rely on it.
OptimizerState riemannian_state(const OptimizerParameter& parameter, bool second_moment);

// One step of every stack with factors_of(update), together. The host does not wait for a device.
template <std::invocable<const ParameterUpdate&> Factors>
void riemannian_steps(std::span<const ParameterUpdate> updates, const Factors& factors_of) {
  std::vector<ops::StiefelUpdate> all;
  for (const ParameterUpdate& u : updates) {
    all.push_back({u.parameter->value, u.gradient, u.state->first_moment, u.state->second_moment,
                   u.parameter->block_rows, factors_of(u)});
  }
  ops::stiefel_step_(all);
  for (const ParameterUpdate& u : updates) ++u.state->step;
}

// Gradient descent with momentum, as geoopt's RiemannianSGD does it. For each block, with x = grad f(R):
// m <- momentum m + x, R' = retract(R, -lr m), m' = m transported to R'. m starts at 0; geoopt 0.5.1 starts it at the
// matrix of partial derivatives, which is not a tangent vector.
class RiemannianMomentum : public OptimizerRule {
 public:
  OptimizerState stiefel_state(const OptimizerParameter& parameter) const override;
  void stiefel_step(std::span<const ParameterUpdate> updates) const override;
  bool keeps_orthonormal() const override { return true; }

 protected:
  // A clipped gradient has at most the norm 1, and momentum .9 makes up to ten of it: where R has a tenth of the
  // gradient's norm, 30 moves it as far as Riemannian Adam's 30 does.
  RiemannianMomentum() : OptimizerRule(30.0) {}

  ManifoldOptions manifold_;
  double momentum_ = 0.9;
};

}  // namespace csreft
