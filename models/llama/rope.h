// How fast rotary positions turn, and how models for longer texts change that.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace csreft {

struct LlamaConfig;

struct PlainRope {};

// All frequencies are divided by `factor` (arXiv 2306.15595).
struct LinearRope {
  double factor = 1;
};

// NTK by length, as in transformers: within the original context L0 = max_position_embeddings nothing changes; for a
// longest sequence of L > L0 tokens theta becomes theta * (factor L / L0 - factor + 1)^(d / (d - 2)), d = head_dim.
struct DynamicRope {
  double factor = 1;
};

// YaRN (arXiv 2309.00071, section 3): pairs that turn more than beta_fast times within the original context stay, those
// that turn less than beta_slow times are divided by `factor`, and the band between is interpolated linearly by index,
// its ends rounded outwards if `truncate`. Cosines and sines are multiplied by attention_factor.
struct YarnRope {
  double factor = 1;
  double attention_factor = 1;
  double beta_fast = 32;
  double beta_slow = 1;
  std::int64_t original_max_position_embeddings = 0;
  bool truncate = true;
};

// Llama 3.1's rule: low frequencies are divided by `factor`, high ones stay, and the band between is interpolated. A
// wavelength is low where it exceeds original_max_position_embeddings / low_freq_factor.
struct Llama3Rope {
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  std::int64_t original_max_position_embeddings = 0;
};

using RopeScaling = std::variant<PlainRope, LinearRope, DynamicRope, YarnRope, Llama3Rope>;

// Reads `rope_theta` and the scaling of a config.json into `config`, whose head_dim and max_position_embeddings are
// set: `rope_scaling` (with `rope_type` or `type`) or else `rope_parameters`, in which rope_theta may lie, too; there
// it counts before one at the top. Without a type they say theta alone. Throws Error, naming `where`, for another type,
// a missing or ill-typed key, and a rotation of a part of the head.
void read_rope(const nlohmann::json& json, std::string_view where, LlamaConfig& config);

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
