// What the card can do, and attention against it.
#pragma once

#include "experiments/measure/check_run.h"
#include "models/llama/llama.h"

namespace csreft {

// 0 where it was not measured.
struct DeviceLimits {
  double gemm_f32 = 0.0, gemm_bf16 = 0.0;  // FLOP/s
  double copy = 0.0;                       // bytes a second, read and written
};

// How the models of a check keep their frozen weights: bf16 wherever the device multiplies it.
Weights checked_weights(const Device& device);

// The part "limits": large products and a large copy.
DeviceLimits check_limits(CheckRun& run);

// The part "attention": the heads of SmolLM2 and of Llama-2-7B at 512 and 2048 tokens.
void check_attention(CheckRun& run, const DeviceLimits& limits);

}  // namespace csreft
