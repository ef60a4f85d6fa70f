#include "models/llama/llama_config.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "core/base/json_file.h"

namespace csreft {
namespace {

// Beyond any real model, and small enough that no product of sizes overflows.
constexpr std::int64_t max_extent = 1 << 22;
constexpr std::int64_t max_layers = 1 << 12;

void check_architecture(const nlohmann::json& config, std::string_view where) {
  const auto model_type = get_json<std::string>(config, "model_type", where);
  require(model_type == "llama", "{}: model_type is {}: expected llama", where, model_type);
  if (const auto found = config.find("architectures"); found != config.end() && !found->is_null()) {
    require(*found == nlohmann::json::array({"LlamaForCausalLM"}),
            "{}: architectures is {}: expected [\"LlamaForCausalLM\"]", where, found->dump());
  }
  const auto activation = find_json<std::string>(config, "hidden_act", where).value_or("silu");
  require(activation == "silu", "{}: hidden_act is {}: expected silu", where, activation);
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    require(!find_json<bool>(config, bias, where).value_or(false), "{}: {} is true: expected a Llama without biases",
            where, bias);
  }
}

// `rope_theta` and `rope_scaling`; newer files have both in one `rope_parameters`.
void read_rope(const nlohmann::json& config, std::string_view where, LlamaConfig& result) {
  const bool joined = config.contains("rope_parameters") && !config["rope_parameters"].is_null();
  const std::string key = joined ? "rope_parameters" : "rope_scaling";
  const auto found = config.find(key);
  const bool absent = found == config.end() || found->is_null();
  require(absent || found->is_object(), "{}: `{}` is {}: expected an object or null", where, key,
          absent ? "" : found->type_name());
  const auto theta = find_json<double>(joined ? *found : config, "rope_theta", where);
  result.rope_theta = theta.value_or(result.rope_theta);
  if (absent) return;

  auto type = find_json<std::string>(*found, "rope_type", where);
  if (!type) type = get_json<std::string>(*found, "type", where);
  if (*type == "default") return;
  require(*type == "llama3", "{}: `{}` is of type {}: expected llama3 or default", where, key, *type);
  result.rope_scaling = RopeScaling{
      .factor = get_json<double>(*found, "factor", where),
      .low_freq_factor = get_json<double>(*found, "low_freq_factor", where),
      .high_freq_factor = get_json<double>(*found, "high_freq_factor", where),
      .original_max_position_embeddings = get_json<std::int64_t>(*found, "original_max_position_embeddings", where),
  };
}

std::int32_t token_id(const nlohmann::json& value, const std::string& key, std::string_view where) {
  const std::int64_t id = value.is_number_integer() ? value.get<std::int64_t>() : -1;
  require(id >= 0 && std::in_range<std::int32_t>(id), "{}: `{}` is {}: expected a token id, or a list of them", where,
          key, value.dump());
  return static_cast<std::int32_t>(id);
}

// One id, a list of ids, or null.
std::vector<std::int32_t> read_token_ids(const nlohmann::json& config, const std::string& key, std::string_view where) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return {};
  if (!found->is_array()) return {token_id(*found, key, where)};
  std::vector<std::int32_t> ids;
  for (const auto& value : *found) ids.push_back(token_id(value, key, where));
  return ids;
}

// The Llama 3 rule for one inverse frequency.
double scale_frequency(double frequency, const RopeScaling& scaling) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double turns = static_cast<double>(scaling.original_max_position_embeddings) / wavelength;
  if (turns > scaling.high_freq_factor) return frequency;
  if (turns < scaling.low_freq_factor) return frequency / scaling.factor;
  const double kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - kept) * frequency / scaling.factor + kept * frequency;
}

}  // namespace

LlamaConfig parse_llama_config(const nlohmann::json& config, std::string_view where) {
  check_architecture(config, where);
  const auto size = [&](const std::string& key) { return get_json<std::int64_t>(config, key, where); };
  const auto size_or = [&](const std::string& key, std::int64_t absent) {
    return find_json<std::int64_t>(config, key, where).value_or(absent);
  };
  LlamaConfig result;
  result.vocab_size = size("vocab_size");
  result.hidden_size = size("hidden_size");
  result.intermediate_size = size("intermediate_size");
  result.n_layers = size("num_hidden_layers");
  result.n_heads = size("num_attention_heads");
  require(result.n_heads > 0, "{}: num_attention_heads is {}: expected a positive number", where, result.n_heads);
  result.n_kv_heads = size_or("num_key_value_heads", result.n_heads);
  if (const auto head_dim = find_json<std::int64_t>(config, "head_dim", where)) {
    result.head_dim = *head_dim;
  } else {
    require(result.hidden_size % result.n_heads == 0, "{}: hidden_size {} is no multiple of {} attention heads", where,
            result.hidden_size, result.n_heads);
    result.head_dim = result.hidden_size / result.n_heads;
  }
  result.max_position_embeddings = size("max_position_embeddings");
  result.rms_norm_eps = get_json<double>(config, "rms_norm_eps", where);
  read_rope(config, where, result);
  result.tie_word_embeddings = find_json<bool>(config, "tie_word_embeddings", where).value_or(false);
  if (const auto bos = read_token_ids(config, "bos_token_id", where); !bos.empty()) result.bos_token_id = bos.front();
  result.eos_token_ids = read_token_ids(config, "eos_token_id", where);
  check_config(result, where);
  return result;
}

void check_config(const LlamaConfig& config, std::string_view where) {
  const auto check_size = [&](const char* what, std::int64_t value, std::int64_t most) {
    require(0 < value && value <= most, "{}: {} is {}: expected 1 to {}", where, what, value, most);
  };
  check_size("the vocabulary's size", config.vocab_size, max_extent);
  check_size("the hidden size", config.hidden_size, max_extent);
  check_size("the intermediate size", config.intermediate_size, max_extent);
  check_size("the number of layers", config.n_layers, max_layers);
  check_size("the number of attention heads", config.n_heads, max_extent);
  check_size("the number of key/value heads", config.n_kv_heads, config.n_heads);
  check_size("the head dimension", config.head_dim, max_extent / config.n_heads);
  check_size("the context length", config.max_position_embeddings, std::numeric_limits<std::int32_t>::max());
  require(config.n_heads % config.n_kv_heads == 0, "{}: {} attention heads are no multiple of {} key/value heads",
          where, config.n_heads, config.n_kv_heads);
  require(config.head_dim % 2 == 0, "{}: the head dimension is {}: expected an even number", where, config.head_dim);

  const auto check_constant = [&](const char* what, double value) {
    require(std::isfinite(value) && value > 0, "{}: {} is {}: expected a positive number", where, what, value);
  };
  check_constant("the epsilon of RMSNorm", config.rms_norm_eps);
  check_constant("rope_theta", config.rope_theta);
  if (const auto& scaling = config.rope_scaling) {
    check_constant("rope scaling's factor", scaling->factor);
    check_constant("rope scaling's low_freq_factor", scaling->low_freq_factor);
    check_constant("rope scaling's high_freq_factor - low_freq_factor",
                   scaling->high_freq_factor - scaling->low_freq_factor);
    check_size("rope scaling's original_max_position_embeddings", scaling->original_max_position_embeddings,
               std::numeric_limits<std::int32_t>::max());
  }
  const auto n_factors = static_cast<std::int64_t>(config.rope_factors.size());
  require(n_factors == 0 || n_factors == config.head_dim / 2, "{}: {} rope factors for a head dimension of {}", where,
          n_factors, config.head_dim);
  for (const double factor : config.rope_factors) check_constant("a rope factor", factor);

  const auto check_token = [&](const char* what, std::int32_t id) {
    require(0 <= id && id < config.vocab_size, "{}: {} is {}: expected less than the vocabulary's size {}", where, what,
            id, config.vocab_size);
  };
  if (config.bos_token_id) check_token("bos_token_id", *config.bos_token_id);
  for (const auto id : config.eos_token_ids) check_token("eos_token_id", id);
}

std::vector<std::pair<std::string, Shape>> parameter_shapes(const LlamaConfig& config) {
  const auto d = config.hidden_size;
  const auto queries = config.n_heads * config.head_dim;
  const auto keys = config.n_kv_heads * config.head_dim;
  const auto ffn = config.intermediate_size;
  std::vector<std::pair<std::string, Shape>> shapes{{"model.embed_tokens.weight", {config.vocab_size, d}}};
  for (std::int64_t layer = 0; layer < config.n_layers; ++layer) {
    const auto add = [&](const char* name, Shape shape) {
      shapes.emplace_back(fmt::format("model.layers.{}.{}.weight", layer, name), shape);
    };
    add("input_layernorm", {d});
    add("self_attn.q_proj", {queries, d});
    add("self_attn.k_proj", {keys, d});
    add("self_attn.v_proj", {keys, d});
    add("self_attn.o_proj", {d, queries});
    add("post_attention_layernorm", {d});
    add("mlp.gate_proj", {ffn, d});
    add("mlp.up_proj", {ffn, d});
    add("mlp.down_proj", {d, ffn});
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

std::vector<double> rope_inverse_frequencies(const LlamaConfig& config) {
  std::vector<double> frequencies(static_cast<std::size_t>(config.head_dim / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
    frequencies[i] = std::pow(config.rope_theta, exponent);
    if (config.rope_scaling) frequencies[i] = scale_frequency(frequencies[i], *config.rope_scaling);
    if (!config.rope_factors.empty()) frequencies[i] /= config.rope_factors[i];
  }
  return frequencies;
}

}  // namespace csreft
