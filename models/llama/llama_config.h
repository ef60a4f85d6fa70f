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
#include "models/llama/rope_scaling.h"

namespace csreft {

// Which linear layers of a block add a bias to their product: q, k and v; o; gate, up and down.
struct LinearBiases {
  bool qkv = false;
  bool o = false;
  bool mlp = false;
};

struct LlamaConfig {
  // The name of one of model_families() (families/family.h).
  std::string family = "llama";
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
  RopeScaling rope_scaling{};
  // Divisors of the head_dim / 2 inverse frequencies, where a file gives these instead of the rule; empty: none.
  std::vector<double> rope_factors{};
  LinearBiases biases{};
  // A token attends to this many at most, itself included; unset: to all before it.
  std::optional<std::int64_t> sliding_window{};
  // lm_head.weight is model.embed_tokens.weight.
  bool tie_word_embeddings = false;
  std::optional<std::int32_t> bos_token_id{};
  // Generation ends at any of them; the first is the one that ends a written sequence.
  std::vector<std::int32_t> eos_token_ids{};
};

// Hugging Face's config.json, of any of model_families(). Absent keys take transformers' defaults where files are known
// to leave them out (num_key_value_heads, head_dim, rope_theta, tie_word_embeddings, hidden_act). Throws Error, naming
// `where` and the key, for a missing or ill-typed key, for another family or activation, for quantised weights, and as
// read_rope and check_config do. Token ids are read as read_token_ids does.
LlamaConfig parse_llama_config(const nlohmann::json& config, std::string_view where,
                               std::vector<std::string>* notes = nullptr);

// An id, a list of ids or null, as config.json and generation_config.json have them. Ids that a vocabulary of
// `vocab_size` tokens lacks, which no text has, are passed over: `notes` gets one line on them. Throws Error for
// anything else.
std::vector<std::int32_t> read_token_ids(const nlohmann::json& config, const std::string& key, std::string_view where,
                                         std::int64_t vocab_size, std::vector<std::string>* notes = nullptr);
// What is said of such an id.
std::string note_of_impossible_id(std::string_view where, std::string_view key, std::int64_t id,
                                  std::int64_t vocab_size);

// Throws Error, beginning with `where`, unless the sizes are positive and sane, heads divide evenly, head_dim is even,
// the constants are positive and finite, and the token ids lie in the vocabulary.
void check_config(const LlamaConfig& config, std::string_view where);

// Every parameter under its Hugging Face name, in the order of the forward pass: model.embed_tokens.weight [vocab_size,
// hidden_size], model.layers.N.self_attn.q_proj.weight [n_heads * head_dim, hidden_size], its .bias [n_heads *
// head_dim] if it has one, ..., model.norm.weight [hidden_size], and lm_head.weight unless tied.
std::vector<std::pair<std::string, Shape>> parameter_shapes(const LlamaConfig& config);
// Llama-2-7B: 6,738,415,616.
std::int64_t parameter_count(const LlamaConfig& config);

// The longest sequence that the model reads, in tokens: max_position_embeddings, or what the rotation is scaled to
// where that is more; at most the sliding window, within which every token attends to all before it.
std::int64_t context_length(const LlamaConfig& config);
// What sets it, for messages: "the model's context of 4096".
std::string context_text(const LlamaConfig& config);

}  // namespace csreft
