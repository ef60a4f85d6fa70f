// How fast rotary positions turn, and how models for longer texts change that.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "models/llama/llama_config.h"

namespace csreft {

// Reads `rope_theta` and the scaling of a config.json into `result`, whose head_dim and max_position_embeddings are
// set: `rope_scaling` (with `rope_type` or `type`) or else `rope_parameters`, in which rope_theta may lie, too; there
// it counts before one at the top. Without a type they say theta alone. Throws Error, naming `where`, for another type,
// a missing or ill-typed key, and a rotation of a part of the head.
void read_rope(const nlohmann::json& config, std::string_view where, LlamaConfig& result);

// `rope_scaling` as read_rope reads it back; null for PlainRope.
nlohmann::json rope_scaling_json(const RopeScaling& scaling);

// The attention_factor that goes with a YaRN factor where a file has none: 0.1 ln(factor) + 1, 1 for factors up to 1.
double yarn_attention_factor(double factor);

// Throws Error, beginning with `where`, for a theta, a scaling or factors that give no finite frequencies.
void check_rope(const LlamaConfig& config, std::string_view where);

// The head_dim / 2 angles, in radians, by which one position turns each pair: rope_theta^(-2i / head_dim), scaled, then
// divided by rope_factors. `length`: tokens of the longest sequence, on which only DynamicRope depends.
std::vector<double> rope_inverse_frequencies(const LlamaConfig& config, std::int64_t length = 0);

// What cosines and sines are multiplied by: 1 but for YarnRope.
double rope_attention_factor(const LlamaConfig& config);

// The longest text that the scaling is made for, in tokens; nothing where it does not say.
std::optional<double> rope_context(const LlamaConfig& config);

}  // namespace csreft
