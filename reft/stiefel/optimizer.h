// One optimizer for all parameters of a method, Euclidean ones and stacks of orthonormal blocks alike.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reft/stiefel/optimizers/optimizer_rule.h"

namespace csreft {

class Optimizer {
 public:
  // Keeps `rule`, whose options must not change from here on. Throws Error for a name that appears twice, or a Stiefel
  // parameter that does not divide into blocks or that the rule cannot start from (all but those that let R go free
  // expect blocks orthonormal to 1e-4) or does not keep as exact as it must be.
  explicit Optimizer(std::vector<OptimizerParameter> parameters, Chosen<OptimizerRule> rule = choose_optimizer());

  // One step of every parameter along gradients[i], of parameter i's shape and type, at the rate lr * lr_scale, times
  // the rule's stiefel_lr on the Stiefel manifold. A parameter whose gradient is undefined took no part and stays as it
  // is, its state too. Throws Error, naming the parameter, and changes nothing, if a gradient does not fit or is not
  // finite, or if all are undefined.
  void step(std::span<const Tensor> gradients, double lr);

  // From here on as new: no moments, no steps done. Values stay.
  void forget();

  std::span<const OptimizerParameter> parameters() const { return parameters_; }

  // Everything that step() remembers: NAME.first_moment, NAME.second_moment (of those that have one) and NAME.step (i32
  // [1]) of each parameter. Tensors share storage with the optimizer: write them before the next step.
  std::vector<std::pair<std::string, Tensor>> state() const;
  // Restores what state() gave, so that training continues with the same bits. Throws Error, and changes nothing, if a
  // tensor is missing, has another shape or type, or belongs to no parameter.
  void load_state(std::span<const std::pair<std::string, Tensor>> state);

 private:
  void check_gradients(std::span<const Tensor> gradients) const;

  std::vector<OptimizerParameter> parameters_;
  std::vector<OptimizerState> states_;
  Chosen<OptimizerRule> rule_;
};

}  // namespace csreft
