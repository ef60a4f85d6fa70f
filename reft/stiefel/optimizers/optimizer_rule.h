// How the parameters of a method are moved: one optimizer a file in this folder, each a class of this interface that
// describes its own options, and its name in reft/meson.build.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "autograd/optimizers.h"
#include "core/base/options.h"
#include "reft/parameter.h"

namespace csreft {

struct OptimizerParameter {
  std::string name;
  Tensor value;  // f32 or f64; updated in place, so whoever shares the storage sees the steps
  ParameterManifold manifold = ParameterManifold::euclidean;
  std::int64_t block_rows = 0;  // on the Stiefel manifold: rows of each orthonormal block of the stack
  bool exact = false;           // as Parameter::exact
  double lr_scale = 1.0;
};

// The part of one parameter in a step.
struct ParameterUpdate {
  const OptimizerParameter* parameter;
  Tensor gradient;  // of the value's shape and type, finite
  OptimizerState* state;
  double lr;
};

// A rule for each kind of parameter: all of a kind step in one call, so that a device has few kernels to start.
class OptimizerRule {
 public:
  virtual ~OptimizerRule() = default;

  // --weight-decay, --beta2 and --stiefel-lr; a rule adds its own, or says what it reads instead.
  virtual void describe(Options& options);

  // What is remembered of a parameter before its first step. Throws Error, naming it, for a value that the rule cannot
  // start from.
  virtual OptimizerState euclidean_state(const OptimizerParameter& parameter) const;
  virtual OptimizerState stiefel_state(const OptimizerParameter& parameter) const = 0;

  // Moves each parameter and its state by one step. Euclidean: AdamW.
  virtual void euclidean_step(std::span<const ParameterUpdate> updates) const;
  virtual void stiefel_step(std::span<const ParameterUpdate> updates) const = 0;

  // Whether blocks are orthonormal after every step, but for rounding.
  virtual bool keeps_orthonormal() const = 0;

  // The rate of the orthonormal R, as a multiple of the others'.
  double stiefel_lr() const { return stiefel_lr_; }

 protected:
  explicit OptimizerRule(double stiefel_lr) : stiefel_lr_(stiefel_lr) {}

  void add_weight_decay(Options& options);
  void add_stiefel_lr(Options& options);

  double weight_decay_ = 0.0;
  double beta2_ = 0.999;
  double stiefel_lr_;
};

std::span<const ChoiceEntry<OptimizerRule>* const> optimizer_rules();
// The rule of that name, with its default options. Throws Error, naming the nearest, for another name.
inline Chosen<OptimizerRule> choose_optimizer(std::string_view name = "riemannian_adam") {
  return {optimizer_rules(), "optimizer", name};
}

}  // namespace csreft
