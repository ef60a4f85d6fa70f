// Golden values of a small model: a Hugging Face folder with golden.json and golden.safetensors.
#pragma once

#include <filesystem>

#include "tests/golden_compare.h"

// Runs every case of the folder in f32: `base` (hidden states, logits, loss and the gradients of all weights) and the
// fine-tuning methods (golden_method.h). A case that is not known and a tensor that no check looked at are failures.
// Tolerances, for f32 against references in f64: hidden states and logits 1e-4 absolute, loss 1e-5 relative, gradients
// 1e-4 relative to the largest element of each tensor.
void check_golden_model(const std::filesystem::path& folder, const GoldenSink& sink);
