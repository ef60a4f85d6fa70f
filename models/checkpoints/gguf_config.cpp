#include "models/checkpoints/gguf_config.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/base/json_file.h"
#include "models/llama/rope.h"

namespace csreft {
namespace {

// The keys of a file's own architecture.
class Keys {
 public:
  Keys(const GgufModel& model, std::string_view architecture) : model_(model), prefix_(architecture) {}

  template <typename T>
  T get(std::string_view key) const {
    return get_json<T>(model_.metadata, name(key), model_.where);
  }
  template <typename T>
  std::optional<T> find(std::string_view key) const {
    return find_json<T>(model_.metadata, name(key), model_.where);
  }
  std::string name(std::string_view key) const { return fmt::format("{}.{}", prefix_, key); }

 private:
  const GgufModel& model_;
  std::string prefix_;
};

void check_supported(const Keys& keys, const LlamaConfig& config, std::string_view where) {
  require(keys.find<std::int64_t>("expert_count").value_or(0) == 0,
          "{} is a mixture of experts: expected a plain Llama", where);
  const auto rotated = keys.find<std::int64_t>("rope.dimension_count").value_or(config.head_dim);
  require(rotated == config.head_dim, "{}: rope turns {} of {} dimensions: expected all", where, rotated,
          config.head_dim);
  const auto values = keys.find<std::int64_t>("attention.value_length").value_or(config.head_dim);
  require(values == config.head_dim, "{}: values of {} in heads of {}: expected heads of one size", where, values,
          config.head_dim);
}

// A factor without a type is linear; llama.cpp takes 0 for none.
RopeScaling read_scaling(const Keys& keys, std::int64_t context, std::string_view where) {
  const auto type = keys.find<std::string>("rope.scaling.type").value_or("linear");
  const auto number = [&](std::string_view key) { return keys.find<double>(key); };
  double factor = number("rope.scaling.factor").value_or(number("rope.scale_linear").value_or(0));
  if (factor == 0) factor = 1;
  if (type == "none" || (type == "linear" && factor == 1)) return PlainRope{};
  if (type == "linear") return LinearRope{factor};
  require(type == "yarn", "{}: {} is {}: expected none, linear or yarn", where, keys.name("rope.scaling.type"), type);
  YarnRope yarn{.factor = factor};
  yarn.attention_factor = number("rope.scaling.attn_factor").value_or(1) * yarn_attention_factor(factor);
  yarn.beta_fast = number("rope.scaling.yarn_beta_fast").value_or(yarn.beta_fast);
  yarn.beta_slow = number("rope.scaling.yarn_beta_slow").value_or(yarn.beta_slow);
  yarn.original_max_position_embeddings =
      keys.find<std::int64_t>("rope.scaling.original_context_length").value_or(context);
  for (const auto& [key, expected] : {std::pair{"rope.scaling.yarn_ext_factor", 1.0},
                                      {"rope.scaling.yarn_attn_factor", 1.0},
                                      {"rope.scaling.yarn_log_multiplier", 0.0}}) {
    const auto stated = number(key).value_or(expected);
    require(stated == expected, "{}: {} is {}: expected {}", where, keys.name(key), stated, expected);
  }
  return yarn;
}

void read_sizes(const Keys& keys, LlamaConfig& config, std::string_view where) {
  const auto size = [&](const char* key) { return keys.get<std::int64_t>(key); };
  const auto size_or = [&](const char* key, std::int64_t absent) {
    return keys.find<std::int64_t>(key).value_or(absent);
  };
  const auto stated = size_or("vocab_size", config.vocab_size);
  require(stated == config.vocab_size, "{}: {} tokens: {} says {}", where, config.vocab_size, keys.name("vocab_size"),
          stated);
  config.hidden_size = size("embedding_length");
  config.intermediate_size = size("feed_forward_length");
  config.n_layers = size("block_count");
  config.n_heads = size("attention.head_count");
  require(config.n_heads > 0, "{}: {} is {}: expected a positive number", where, keys.name("attention.head_count"),
          config.n_heads);
  config.n_kv_heads = size_or("attention.head_count_kv", config.n_heads);
  config.head_dim = size_or("attention.key_length", config.hidden_size / config.n_heads);
  config.max_position_embeddings = size("context_length");
}

void add_stop(const std::optional<std::int32_t>& id, std::vector<std::int32_t>& stops) {
  if (id && std::ranges::find(stops, *id) == stops.end()) stops.push_back(*id);
}

}  // namespace

const ModelFamily& gguf_family(const GgufModel& model) {
  return family_of_gguf(get_json<std::string>(model.metadata, "general.architecture", model.where), model.where);
}

LlamaConfig read_gguf_config(const GgufModel& model, const TokenizerVocabulary& vocabulary,
                             std::vector<std::string>& notes) {
  const auto& [_, has_tensor, where] = model;
  const ModelFamily& family = gguf_family(model);
  const Keys keys(model, family.gguf_architecture);
  LlamaConfig config;
  config.family = family.name;
  config.vocab_size = static_cast<std::int64_t>(vocabulary.tokens.size());
  read_sizes(keys, config, where);
  config.rms_norm_eps = keys.get<double>("attention.layer_norm_rms_epsilon");
  config.rope_theta = keys.find<double>("rope.freq_base").value_or(config.rope_theta);
  config.rope_scaling = read_scaling(keys, config.max_position_embeddings, where);
  config.biases = {.qkv = has_tensor("blk.0.attn_q.bias"),
                   .o = has_tensor("blk.0.attn_output.bias"),
                   .mlp = has_tensor("blk.0.ffn_down.bias")};
  if (const auto window = keys.find<std::int64_t>("attention.sliding_window").value_or(0); window != 0) {
    config.sliding_window = window;
  }
  config.tie_word_embeddings = !has_tensor("output.weight");
  config.bos_token_id = vocabulary.bos_id;
  add_stop(vocabulary.eos_id, config.eos_token_ids);
  for (const char* key : {"eot_token_id", "eom_token_id"}) {
    add_stop(find_gguf_token(model, key, vocabulary.tokens.size(), notes), config.eos_token_ids);
  }
  check_supported(keys, config, where);
  return config;
}

std::optional<std::int32_t> find_gguf_token(const GgufModel& model, const std::string& name, std::size_t size,
                                            std::vector<std::string>& notes) {
  const auto key = "tokenizer.ggml." + name;
  const auto id = find_json<std::int64_t>(model.metadata, key, model.where);
  const auto vocab_size = static_cast<std::int64_t>(size);
  if (!id || (0 <= *id && *id < vocab_size)) return id;
  notes.push_back(note_of_impossible_id(model.where, key, *id, vocab_size));
  return std::nullopt;
}

std::string gguf_name(const std::string& name) {
  static const std::map<std::string, std::string, std::less<>> parts{
      {"model.embed_tokens", "token_embd"},
      {"model.norm", "output_norm"},
      {"lm_head", "output"},
      {"input_layernorm", "attn_norm"},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"},
      {"post_attention_layernorm", "ffn_norm"},
      {"mlp.gate_proj", "ffn_gate"},
      {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"},
  };
  constexpr std::string_view layers = "model.layers.";
  // "weight" or "bias"
  const auto last_dot = name.rfind('.');
  const auto stem = std::string_view(name).substr(0, last_dot), suffix = std::string_view(name).substr(last_dot);
  if (!stem.starts_with(layers)) return fmt::format("{}{}", parts.find(stem)->second, suffix);
  const auto dot = stem.find('.', layers.size());
  return fmt::format("blk.{}.{}{}", stem.substr(layers.size(), dot - layers.size()),
                     parts.find(stem.substr(dot + 1))->second, suffix);
}

}  // namespace csreft
