// The dimensions and constants that fix a Llama model, whatever file they come from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/tensor/shape.h"

namespace csreft {

// `rope_scaling` of type "llama3": low frequencies are divided by `factor`, high ones stay, and the band between is
// interpolated. A wavelength L is low where L > original_max_position_embeddings / low_freq_factor.
struct RopeScaling {
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  std::int64_t original_max_position_embeddings = 0;
};

struct LlamaConfig {
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t n_layers = 0;
  std::int64_t n_heads = 0;
  std::int64_t n_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10'000;
  std::optional<RopeScaling> rope_scaling;
  // Divisors of the head_dim / 2 inverse frequencies, where a file gives these instead of the rule; empty: none.
  std::vector<double> rope_factors;
  // lm_head.weight is model.embed_tokens.weight.
  bool tie_word_embeddings = false;
  std::optional<std::int32_t> bos_token_id;
  // Generation ends at any of them; the first is the one that ends a written sequence.
  std::vector<std::int32_t> eos_token_ids;
};

// Hugging Face's config.json. Absent keys take the defaults of its LlamaConfig where files are known to leave them out
// (num_key_value_heads, head_dim, rope_theta, tie_word_embeddings, hidden_act). Throws Error, naming `where` and the
// key, for a missing or ill-typed key, for another architecture or activation, for biases, for a `rope_scaling` other
// than "llama3" or "default", and as check_config does.
LlamaConfig parse_llama_config(const nlohmann::json& config, std::string_view where);

// Throws Error, beginning with `where`, unless the sizes are positive and sane, heads divide evenly, head_dim is even,
// the constants are positive and finite, and the token ids lie in the vocabulary.
void check_config(const LlamaConfig& config, std::string_view where);

// Every parameter under its Hugging Face name, in the order of the forward pass: model.embed_tokens.weight [vocab_size,
// hidden_size], model.layers.N.self_attn.q_proj.weight [n_heads * head_dim, hidden_size], ..., model.norm.weight
// [hidden_size], and lm_head.weight unless tied.
std::vector<std::pair<std::string, Shape>> parameter_shapes(const LlamaConfig& config);
// Llama-2-7B: 6,738,415,616.
std::int64_t parameter_count(const LlamaConfig& config);

// The head_dim / 2 angles, in radians, by which one position turns each pair: rope_theta^(-2i / head_dim), scaled by
// the Llama 3 rule or divided by rope_factors.
std::vector<double> rope_inverse_frequencies(const LlamaConfig& config);

}  // namespace csreft
