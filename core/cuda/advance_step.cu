// From one step of generation to the next: a thread a sequence.
#include "core/cuda/grid.cuh"
#include "core/cuda/ops.h"

namespace csreft::cuda {
namespace {

struct AdvanceStep {
  std::int32_t *ids, *positions, *cache_rows, *lengths;
  const std::int32_t* growth;
  std::int32_t* steps;
  const std::int32_t* tokens;
  std::int32_t* drawn;
  std::int64_t n;

  __device__ void operator()(std::int64_t i) const {
    const std::int32_t token = tokens[i];
    drawn[steps[i] * n + i] = token;
    if (token >= 0) ids[i] = token;
    positions[i] += growth[i];
    cache_rows[i] += growth[i];
    lengths[i] += growth[i];
    ++steps[i];
  }
};

}  // namespace

void advance_step(const ops::StepInputs& inputs, const Tensor& tokens, const Tensor& drawn) {
  const auto array = [](const Tensor& t) { return elements<std::int32_t>(t); };
  for_elements(context(tokens), tokens.numel(),
               AdvanceStep{array(inputs.ids), array(inputs.positions), array(inputs.cache_rows), array(inputs.lengths),
                           array(inputs.growth), array(inputs.steps), array(tokens), array(drawn), tokens.numel()});
}

}  // namespace csreft::cuda
