// What a device can do, and what the model's parts take of it: measurements through the project's own primitives.
#pragma once

#include <cstdint>
#include <functional>

#include "core/ops/ops.h"
#include "core/ops/packed_matrix.h"

namespace csreft {

// Seconds that one call takes on the device, waiting included: the best of several runs that take `seconds` in all,
// after one call to warm up. Fewer runs (one at least) if a signal has arrived (progress.h).
double best_seconds(const Device& device, double seconds, const std::function<void()>& call);

// FLOP/s of x W^T for x [rows, in], W [out, in] frozen in f32, in bf16, or in f32 for TF32.
struct GemmShape {
  std::int64_t rows, in, out;
};
double measure_gemm(const Device& device, const GemmShape& shape, Packing packing, double seconds);

// Bytes read and written a second when `bytes` are copied from one place of the device's memory to another.
double measure_copy(const Device& device, std::int64_t bytes, double seconds);

struct AttentionRates {
  double forward = 0.0, backward = 0.0;  // FLOP/s
};
// Causal attention of `n_sequences` sequences of `length` tokens. A pair of a query and a key that it sees counts 4
// FLOPs a component of a head forward (q k and p v), 10 backward (five products, q k again among them).
AttentionRates measure_attention(const Device& device, const ops::AttentionHeads& heads, std::int64_t n_sequences,
                                 std::int64_t length, double seconds);

}  // namespace csreft
