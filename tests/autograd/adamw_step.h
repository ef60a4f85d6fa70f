// AdamW of one parameter, for tests.
#pragma once

#include "autograd/optimizers.h"

namespace csreft::test {

inline void adamw_step(const Tensor& w, const Tensor& g, OptimizerState& state, double lr,
                       const AdamWOptions& options = {}) {
  const ParameterStep step{w, g, &state, lr};
  adamw_steps({&step, 1}, options);
}

}  // namespace csreft::test
