// What a model takes of the host's memory, told before it is taken.
#pragma once

#include <cstdint>

#include "models/checkpoints/checkpoint.h"
#include "models/llama/llama.h"

namespace csreft {

// Bytes of the weights that a Llama made so holds itself, beside what stays in the mapped file and can be dropped and
// read again: copies in f32 that products of many rows make count, whether or not they are there yet. On a device: of
// the tensors that are on their way there.
std::int64_t weight_bytes(const Checkpoint& checkpoint, Weights weights, const Device& device = {});

// Bytes that a training pass over `tokens` tokens keeps for the backward in the `layers` blocks above the lowest
// edit, in f32; with `checkpointing`, of each block its input alone, and what one block makes.
std::int64_t activation_bytes(const LlamaConfig& config, std::int64_t tokens, std::int64_t layers, bool checkpointing);

}  // namespace csreft
