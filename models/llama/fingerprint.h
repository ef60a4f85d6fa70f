// A hash of some of a model's weights, by which an adapter knows its model.
#pragma once

#include <cstdint>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// FNV-1a over the last norm [d] and the first 64 rows of the embedding [vocabulary, d], in the dtype that they have.
std::uint64_t fingerprint(const Tensor& norm, const Tensor& embedding);
// That of a checkpoint's weights as f32: what Llama::fingerprint() is after they are loaded so.
std::uint64_t fingerprint(const Checkpoint& checkpoint);

}  // namespace csreft
