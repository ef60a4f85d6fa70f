// What a training step takes of memory, asked before the first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "models/language_model.h"
#include "reft/methods/method.h"

namespace csreft {

// Tokens of the longest pass that steps of `batch` of these examples can have, each given by the tokens of its turns,
// where one with more than `tokens_per_pass` is split between turns, and a step among `ranks` processes.
std::int64_t longest_pass(std::span<const std::vector<std::int64_t>> examples, std::int64_t batch,
                          std::int64_t tokens_per_pass, int ranks = 1);

// Bytes of host memory that a step takes beside the weights, at least: gradients and moments of what is trained, and
// the activations of a pass over `tokens` tokens from the lowest edit on.
// Each of several ranks has its share of the moments.
std::int64_t step_bytes(const LlamaConfig& config, const Method& method, std::int64_t tokens, int ranks = 1);

// Throws Error, naming what makes it smaller, unless that much is free where the model computes on the host.
// `ranks_here` of the ranks are on this host.
void check_step_memory(const Llama& model, const Method& method, std::int64_t tokens,
                       const std::filesystem::path& root = "/", int ranks = 1, int ranks_here = 1);

}  // namespace csreft
