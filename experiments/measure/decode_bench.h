// How fast generation reads weights: products of a few rows with matrices in each form that files have.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "experiments/measure/device_bench.h"
#include "models/checkpoints/checkpoint.h"

namespace csreft {

// "f32", "bf16", "f16", "Q4_0", "Q4_1", "Q8_0".
std::span<const std::string_view> decoded_forms();

// Bytes a second at which x W^T reads W in this form, for x [rows, in], W [out, in]; several W in turn, so that no
// cache holds them.
double measure_decoding(std::string_view form, const GemmShape& shape, double seconds);

// Bytes of the matrices that a generated token is multiplied by, as a model keeps them on the host with frozen weights.
double decoded_bytes(const Checkpoint& checkpoint);

}  // namespace csreft
