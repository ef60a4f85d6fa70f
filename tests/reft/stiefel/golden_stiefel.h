// Golden values of the Stiefel manifold and its optimizers.
#pragma once

#include <filesystem>
#include <vector>

#include "tests/golden_result.h"

// Reads golden.safetensors and golden.json of `directory`; for every tensor RxD.R (R [r, d] with orthonormal rows, G,
// target) compares, in f64 on the test device,
// - the two Riemannian gradients and R - 0.1 gradient retracted in three ways, to 1e-5 absolute: the values are stored
//   in f32, elements are at most of order 1;
// - 20 steps of each optimizer on f(R) = |R - target|^2 / 2, losses before each step to 1e-4 relative and the final R
//   to 1e-4 absolute: a step multiplies the rounding of the stored start by at most a few.
// Throws csreft::Error for an unreadable folder or one without such tensors.
std::vector<GoldenResult> check_golden_stiefel(const std::filesystem::path& directory);
