// One optimizer for all parameters of a method, Euclidean ones and stacks of orthonormal blocks alike.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/optimizers.h"
#include "reft/parameter.h"
#include "reft/stiefel/riemannian_adam.h"
#include "reft/stiefel/riemannian_sgd.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {

struct OptimizerParameter {
  std::string name;
  Tensor value;  // f32 or f64; updated in place, so whoever shares the storage sees the steps
  ParameterManifold manifold = ParameterManifold::euclidean;
  std::int64_t block_rows = 0;  // on the Stiefel manifold: rows of each orthonormal block of the stack
  double lr_scale = 1.0;
  // Another parameter R of the same shape and type, or empty. Then W - R is trained in place of this W: R is moved
  // along the sum of both gradients, and W moves with it. The same function in other coordinates, in which a step of R
  // leaves (W - R) h, what an edit reads, as it is, and R's gradient has no share that W's has already.
  std::string offset_from = {};
};

struct OptimizerOptions {
  std::string name = "riemannian_adam";  // of the table optimizer_rules()
  AdamWOptions adamw;
  SgdOptions sgd;
  RiemannianAdamOptions riemannian_adam;
  RiemannianSgdOptions riemannian_sgd;
  StiefelMetric metric = StiefelMetric::euclidean;
  std::string retraction = "qr";             // of the table retractions()
  std::int64_t orthonormalise_interval = 1;  // steps of AdamW between two orthonormalisations
};

// The part of one parameter in a step.
struct ParameterUpdate {
  OptimizerParameter* parameter;
  Tensor gradient;
  OptimizerState* state;
  double lr;
};

// How parameters of a kind are updated: all in one call, so that a device has few kernels to start.
struct UpdateRule {
  OptimizerState (*state)(const OptimizerParameter& parameter);  // before the first step
  void (*step)(std::span<const ParameterUpdate> updates, const OptimizerOptions& options, const Manifold& manifold);
};

// A line of the table of optimizers: the rule of each kind of parameter.
struct OptimizerRule {
  std::string_view name;
  std::string_view summary;  // for --help
  UpdateRule euclidean;
  UpdateRule stiefel;
};
std::span<const OptimizerRule* const> optimizer_rules();

class Optimizer {
 public:
  // Throws Error for an unknown optimizer or retraction, a name that appears twice, an offset from no other parameter,
  // from one of another shape or type or from one that is an offset, or a Stiefel parameter that does not divide into
  // blocks or, where the rule is Riemannian, whose blocks are not orthonormal to 1e-4.
  Optimizer(std::vector<OptimizerParameter> parameters, OptimizerOptions options);

  // One step of every parameter along gradients[i], of parameter i's shape and type, at the rate lr * lr_scale. A
  // parameter whose gradient is undefined took no part and stays as it is, its state too. Throws Error, naming the
  // parameter, and changes nothing, if a gradient does not fit or is not finite, or if all are undefined.
  void step(std::span<const Tensor> gradients, double lr);

  std::span<const OptimizerParameter> parameters() const { return parameters_; }

  // Everything that step() remembers: NAME.first_moment, NAME.second_moment (of those that have one) and NAME.step (i32
  // [1]) of each parameter. Tensors share storage with the optimizer: write them before the next step.
  std::vector<std::pair<std::string, Tensor>> state() const;
  // Restores what state() gave, so that training continues with the same bits. Throws Error, and changes nothing, if a
  // tensor is missing, has another shape or type, or belongs to no parameter.
  void load_state(std::span<const std::pair<std::string, Tensor>> state);

 private:
  const UpdateRule& rule(const OptimizerParameter& parameter) const;
  std::vector<std::vector<std::size_t>> offsets_by_origin() const;
  void check_gradients(std::span<const Tensor> gradients) const;

  std::vector<OptimizerParameter> parameters_;
  std::vector<std::vector<std::size_t>> offsets_;  // of each parameter: those that are offsets from it
  std::vector<OptimizerState> states_;
  OptimizerOptions options_;
  const OptimizerRule* rules_;
  Manifold manifold_;
};

}  // namespace csreft
