#include "models/llama/known_shapes.h"

#include <algorithm>

#include "core/base/nearest.h"

namespace csreft {
namespace {

constexpr Llama3Rope llama32_rope{.factor = 32, .original_max_position_embeddings = 8192};

// From each model's config.json.
std::vector<KnownShape> make_table() {
  return {
      // 6 layers that take no time: to try the way, not for figures
      {"tiny",
       {.vocab_size = 320,
        .hidden_size = 32,
        .intermediate_size = 48,
        .n_layers = 6,
        .n_heads = 4,
        .n_kv_heads = 2,
        .head_dim = 8,
        .max_position_embeddings = 256}},
      // SmolLM2-135M
      {"smollm2",
       {.vocab_size = 49'152,
        .hidden_size = 576,
        .intermediate_size = 1536,
        .n_layers = 30,
        .n_heads = 9,
        .n_kv_heads = 3,
        .head_dim = 64,
        .max_position_embeddings = 8192,
        .rope_theta = 100'000,
        .tie_word_embeddings = true}},
      {"qwen2-0.5b",
       {.family = "qwen2",
        .vocab_size = 151'936,
        .hidden_size = 896,
        .intermediate_size = 4864,
        .n_layers = 24,
        .n_heads = 14,
        .n_kv_heads = 2,
        .head_dim = 64,
        .max_position_embeddings = 131'072,
        .rms_norm_eps = 1e-6,
        .rope_theta = 1'000'000,
        .biases = {.qkv = true},
        .tie_word_embeddings = true}},
      {"tinyllama-1.1b",
       {.vocab_size = 32'000,
        .hidden_size = 2048,
        .intermediate_size = 5632,
        .n_layers = 22,
        .n_heads = 32,
        .n_kv_heads = 4,
        .head_dim = 64,
        .max_position_embeddings = 2048}},
      {"llama3.2-1b",
       {.vocab_size = 128'256,
        .hidden_size = 2048,
        .intermediate_size = 8192,
        .n_layers = 16,
        .n_heads = 32,
        .n_kv_heads = 8,
        .head_dim = 64,
        .max_position_embeddings = 131'072,
        .rope_theta = 500'000,
        .rope_scaling = llama32_rope,
        .tie_word_embeddings = true}},
      {"llama2-7b",
       {.vocab_size = 32'000,
        .hidden_size = 4096,
        .intermediate_size = 11'008,
        .n_layers = 32,
        .n_heads = 32,
        .n_kv_heads = 32,
        .head_dim = 128,
        .max_position_embeddings = 4096}},
      {"mistral-7b",
       {.family = "mistral",
        .vocab_size = 32'000,
        .hidden_size = 4096,
        .intermediate_size = 14'336,
        .n_layers = 32,
        .n_heads = 32,
        .n_kv_heads = 8,
        .head_dim = 128,
        .max_position_embeddings = 32'768,
        .sliding_window = 4096}},
      {"qwen2.5-7b",
       {.family = "qwen2",
        .vocab_size = 152'064,
        .hidden_size = 3584,
        .intermediate_size = 18'944,
        .n_layers = 28,
        .n_heads = 28,
        .n_kv_heads = 4,
        .head_dim = 128,
        .max_position_embeddings = 131'072,
        .rms_norm_eps = 1e-6,
        .rope_theta = 1'000'000,
        .biases = {.qkv = true}}},
      {"llama3-8b",
       {.vocab_size = 128'256,
        .hidden_size = 4096,
        .intermediate_size = 14'336,
        .n_layers = 32,
        .n_heads = 32,
        .n_kv_heads = 8,
        .head_dim = 128,
        .max_position_embeddings = 8192,
        .rope_theta = 500'000}},
      {"llama2-13b",
       {.vocab_size = 32'000,
        .hidden_size = 5120,
        .intermediate_size = 13'824,
        .n_layers = 40,
        .n_heads = 40,
        .n_kv_heads = 40,
        .head_dim = 128,
        .max_position_embeddings = 4096}},
  };
}

}  // namespace

std::span<const KnownShape> known_shapes() {
  static const std::vector<KnownShape> table = make_table();
  return table;
}

std::vector<std::string_view> known_shape_names() {
  std::vector<std::string_view> names;
  for (const auto& shape : known_shapes()) names.push_back(shape.name);
  return names;
}

const LlamaConfig& known_shape(std::string_view name) {
  const auto found = std::ranges::find(known_shapes(), name, &KnownShape::name);
  if (found == known_shapes().end()) fail_unknown("shape", name, known_shape_names());
  return found->config;
}

}  // namespace csreft
