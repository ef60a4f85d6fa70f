#include "models/llama/llama_config.h"

#include <fmt/format.h>

namespace csreft {

std::vector<std::pair<std::string, Shape>> parameter_shapes(const LlamaConfig& config) {
  const auto d = config.hidden_size;
  const auto queries = config.n_heads * config.head_dim;
  const auto keys = config.n_kv_heads * config.head_dim;
  const auto ffn = config.intermediate_size;
  std::vector<std::pair<std::string, Shape>> shapes{{"model.embed_tokens.weight", {config.vocab_size, d}}};
  for (std::int64_t layer = 0; layer < config.n_layers; ++layer) {
    const auto add = [&](const char* name, Shape shape, bool bias = false) {
      shapes.emplace_back(fmt::format("model.layers.{}.{}.weight", layer, name), shape);
      if (bias) shapes.emplace_back(fmt::format("model.layers.{}.{}.bias", layer, name), Shape{shape[0]});
    };
    add("input_layernorm", {d});
    add("self_attn.q_proj", {queries, d}, config.biases.qkv);
    add("self_attn.k_proj", {keys, d}, config.biases.qkv);
    add("self_attn.v_proj", {keys, d}, config.biases.qkv);
    add("self_attn.o_proj", {d, queries}, config.biases.o);
    add("post_attention_layernorm", {d});
    add("mlp.gate_proj", {ffn, d}, config.biases.mlp);
    add("mlp.up_proj", {ffn, d}, config.biases.mlp);
    add("mlp.down_proj", {d, ffn}, config.biases.mlp);
  }
  shapes.emplace_back("model.norm.weight", Shape{d});
  if (!config.tie_word_embeddings) shapes.emplace_back("lm_head.weight", Shape{config.vocab_size, d});
  return shapes;
}

std::int64_t parameter_count(const LlamaConfig& config) {
  std::int64_t count = 0;
  for (const auto& [_, shape] : parameter_shapes(config)) count += shape.numel();
  return count;
}

}  // namespace csreft
