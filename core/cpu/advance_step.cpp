// From one step of generation to the next.
#include "core/cpu/ops.h"

namespace csreft::cpu {

void advance_step(const ops::StepInputs& inputs, const Tensor& tokens, const Tensor& drawn) {
  const std::int64_t n = tokens.numel();
  auto* const ids = inputs.ids.data<std::int32_t>();
  auto* const steps = inputs.steps.data<std::int32_t>();
  const auto* const growth = inputs.growth.data<std::int32_t>();
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t token = tokens.data<std::int32_t>()[i];
    drawn.data<std::int32_t>()[steps[i] * n + i] = token;
    if (token >= 0) ids[i] = token;
    inputs.positions.data<std::int32_t>()[i] += growth[i];
    inputs.cache_rows.data<std::int32_t>()[i] += growth[i];
    inputs.lengths.data<std::int32_t>()[i] += growth[i];
    ++steps[i];
  }
}

}  // namespace csreft::cpu
