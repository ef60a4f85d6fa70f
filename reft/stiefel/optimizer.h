// One optimizer for all parameters of a method, Euclidean ones and stacks of orthonormal blocks alike.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reft/stiefel/optimizers/optimizer_rule.h"

namespace csreft {

// Which of the parameters an optimizer moves, where several processes have the same ones and each moves its share, so
// that none remembers all (ZeRO stage 1, Rajbhandari et al. 2020, arXiv 1910.02054).
struct OptimizerShare {
  int index = 0, of = 1;
};

class Optimizer {
 public:
  // Keeps `rule`, whose options must not change from here on. Throws Error for a name that appears twice, or a Stiefel
  // parameter that does not divide into blocks or that the rule cannot start from (all but those that let R go free
  // expect blocks orthonormal to 1e-4) or does not keep as exact as it must be.
  explicit Optimizer(std::vector<OptimizerParameter> parameters, Chosen<OptimizerRule> rule = choose_optimizer(),
                     OptimizerShare share = {});

  // One step of every parameter of the share along gradients[i], of parameter i's shape and type, at the rate lr *
  // lr_scale, times the rule's stiefel_lr on the Stiefel manifold. A parameter whose gradient is undefined took no part
  // and stays as it is, its state too. Throws Error, naming the parameter, and changes nothing, if a gradient does not
  // fit or is not finite, or if all are undefined.
  void step(std::span<const Tensor> gradients, double lr);

  // From here on as new: no moments, no steps done. Values stay.
  void forget();

  std::span<const OptimizerParameter> parameters() const { return parameters_; }
  // The share of each parameter: as many numbers in one as in another, as far as whole parameters allow. The same
  // whichever share this is.
  std::span<const int> owners() const { return owners_; }

  // Everything that step() remembers: NAME.first_moment, NAME.second_moment (of those that have one) and NAME.step (i32
  // [1]) of each parameter of the share. Tensors share storage with the optimizer: write them before the next step.
  std::vector<std::pair<std::string, Tensor>> state() const;
  // The same of all parameters, in the same order, whichever share has them.
  struct StatePart {
    std::string name;
    Shape shape;
    DType type;
    int owner;
    Tensor value;  // undefined: another share has it
  };
  std::vector<StatePart> state_parts() const;
  // Restores what state() gave, of all shares, so that training continues with the same bits. Throws Error, and changes
  // nothing, if a tensor is missing, has another shape or type, or belongs to no parameter.
  void load_state(std::span<const std::pair<std::string, Tensor>> state);

 private:
  void check_gradients(std::span<const Tensor> gradients) const;
  bool owns(std::size_t parameter) const { return owners_[parameter] == share_.index; }

  std::vector<OptimizerParameter> parameters_;
  OptimizerShare share_;
  std::vector<int> owners_;
  std::vector<OptimizerState> states_;  // of parameters of other shares: without moments
  std::vector<StatePart> layout_;       // of all, without values
  Chosen<OptimizerRule> rule_;
};

}  // namespace csreft
