// Golden values of AdamW.
#pragma once

#include <filesystem>
#include <vector>

#include "tests/golden_result.h"

// Reads golden.safetensors (w0, target, CASE.final) and golden.json ({CASE: {lr, weight_decay, betas, eps}}, betas and
// eps being PyTorch's defaults where they are missing) of `directory`; for every case compares w after 25 steps of
// AdamW in f64 on mean((w - target)^2), to 1e-5 absolute: the values are stored in f32 and of order 1. Throws
// csreft::Error for an unreadable folder or one without cases.
std::vector<GoldenResult> check_golden_optim(const std::filesystem::path& directory);
