// Optimizers of Euclidean parameters, as functions over a small state, and what a training loop needs around them:
// gradient norm and clipping, and the schedule of the learning rate.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor/tensor.h"

namespace csreft {

// What an optimizer remembers of one parameter. Each optimizer's *_state function says which moments it keeps; the
// others stay undefined.
struct OptimizerState {
  Tensor first_moment;
  Tensor second_moment;
  std::int64_t step = 0;  // steps done
};

// AdamW (Loshchilov and Hutter 2019, algorithm 2), with PyTorch's defaults and order of operations:
// w <- (1 - lr weight_decay) w - lr m^ / (sqrt(v^) + eps), m^ and v^ the bias-corrected moving averages of g and g^2.
struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

// Zero moments of w's shape and type.
OptimizerState adamw_state(const Tensor& w);
// The part of one parameter in a step of several.
struct ParameterStep {
  Tensor w, g;
  OptimizerState* state;
  double lr;
};
// Updates each w (f32 or f64, any shape) and its state in place from the gradient g of w's shape and type, together
// where ops::adamw_ does that; moments and arithmetic are in that type. Throws Error, before it changes any, for other
// shapes or types, or for a state that is not of adamw_state(w).
void adamw_steps(std::span<const ParameterStep> steps, const AdamWOptions& options = {});

// Gradient descent with heavy-ball momentum in PyTorch's form: m <- momentum m + (g + weight_decay w), w <- w - lr m.
struct SgdOptions {
  double momentum = 0.9;
  double weight_decay = 0.0;
};

// A zero first moment of w's shape and type.
OptimizerState sgd_state(const Tensor& w);
// Updates w and `state` as adamw_steps does.
void sgd_step(Tensor& w, const Tensor& g, OptimizerState& state, double lr, const SgdOptions& options = {});

// sqrt of the sum of squares of all elements of all gradients; undefined tensors count as zero. NaN or infinite if an
// element is.
double global_norm(std::span<const Tensor> gradients);
// Replaces each gradient by a new tensor, max_norm / norm times it, if norm = global_norm(gradients) exceeds
// max_norm > 0: whoever shares the old tensors, another gradient perhaps, sees no change. Returns the norm before; if
// that is not finite the gradients are left as they are, for the caller to report.
double clip_by_global_norm(std::span<Tensor> gradients, double max_norm);

// Factor of the learning rate in step `step` (0-based) of total_steps: linear from 0 to 1 over the first
// w = ceil(warmup_fraction total_steps) steps, then linear to 0 at total_steps: step / w, then
// (total_steps - step) / (total_steps - w). The same as transformers' get_linear_schedule_with_warmup, so with a
// warm-up step 0 has factor 0. Throws Error unless 0 <= step, 0 < total_steps and 0 <= warmup_fraction <= 1.
double learning_rate_factor(std::int64_t step, std::int64_t total_steps, double warmup_fraction);

}  // namespace csreft
