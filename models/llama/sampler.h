// Choosing the next tokens from their logits, on the device that has them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/ops/ops.h"

namespace csreft {

using SamplingOptions = ops::Sampling;

// What ops::sample_ counts with, i32 [n, 2] on `device`: row i draws for sequence sequences[i], which has drawn `drawn`
// times.
Tensor draw_counts(std::span<const std::int32_t> sequences, std::int32_t drawn, const Device& device);

// A token for each row of logits [n, vocabulary], as ops::sample_ draws them; only the tokens come to the host; -1
// for a row with a logit that is not finite.
std::vector<std::int32_t> sample(const Tensor& logits, const SamplingOptions& options, std::uint64_t first_stream,
                                 const Tensor& draws);

}  // namespace csreft
