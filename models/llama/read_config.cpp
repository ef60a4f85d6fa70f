// Configs as files have them, and what a family and its rotation make of them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/json_file.h"
#include "models/llama/families/family.h"
#include "models/llama/llama_config.h"
#include "models/llama/rope.h"

namespace csreft {
namespace {

// Beyond any real model, and small enough that no product of sizes overflows.
constexpr std::int64_t max_extent = 1 << 22;
constexpr std::int64_t max_layers = 1 << 12;

void check_architecture(const nlohmann::json& config, const ModelFamily& family, std::string_view where) {
  if (const auto found = config.find("architectures"); found != config.end() && !found->is_null()) {
    // A dump of the model without its head has the second name.
    const auto name = fmt::format("{}ForCausalLM", family.architecture);
    require(*found == nlohmann::json::array({name}) ||
                *found == nlohmann::json::array({fmt::format("{}Model", family.architecture)}),
            "{}: architectures is {}: expected [\"{}\"]", where, found->dump(), name);
  }
  const auto activation = find_json<std::string>(config, "hidden_act", where).value_or("silu");
  require(activation == "silu" || activation == "swish", "{}: hidden_act is {}: expected silu", where, activation);
}

void check_not_quantised(const nlohmann::json& config, std::string_view where) {
  const auto found = config.find("quantization_config");
  if (found == config.end() || found->is_null()) return;
  const auto method = found->is_object() ? found->value("quant_method", nlohmann::json("bitsandbytes")) : *found;
  fail("{}: the weights are quantised by {}, which is not read: expected the model in F32, F16 or BF16, or as a GGUF",
       where, method.is_string() ? method.get<std::string>() : method.dump());
}

}  // namespace

std::string note_of_impossible_id(std::string_view where, std::string_view key, std::int64_t id,
                                  std::int64_t vocab_size) {
  return fmt::format("{}: {} {} is passed over: the model has {} tokens", where, key, id, vocab_size);
}

std::vector<std::int32_t> read_token_ids(const nlohmann::json& config, const std::string& key, std::string_view where,
                                         std::int64_t vocab_size, std::vector<std::string>* notes) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return {};
  std::vector<std::int32_t> ids;
  bool is_noted = notes == nullptr;
  for (const auto& value : found->is_array() ? *found : nlohmann::json::array({*found})) {
    require(value.is_number_integer(), "{}: `{}` is {}: expected a token id, or a list of them", where, key,
            value.dump());
    const auto id = value.get<std::int64_t>();
    if (0 <= id && id < vocab_size) {
      ids.push_back(static_cast<std::int32_t>(id));
    } else if (!is_noted) {
      notes->push_back(note_of_impossible_id(where, key, id, vocab_size));
      is_noted = true;
    }
  }
  return ids;
}

LlamaConfig parse_llama_config(const nlohmann::json& config, std::string_view where, std::vector<std::string>* notes) {
  const ModelFamily& family = family_of_model_type(get_json<std::string>(config, "model_type", where), where);
  check_architecture(config, family, where);
  check_not_quantised(config, where);
  const auto size = [&](const std::string& key) { return get_json<std::int64_t>(config, key, where); };
  const auto size_or = [&](const std::string& key, std::int64_t absent) {
    return find_json<std::int64_t>(config, key, where).value_or(absent);
  };
  LlamaConfig result;
  result.family = family.name;
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
  family.read(config, where, result);
  result.tie_word_embeddings = find_json<bool>(config, "tie_word_embeddings", where).value_or(false);
  const auto ids = [&](const char* key) { return read_token_ids(config, key, where, result.vocab_size, notes); };
  if (const auto bos = ids("bos_token_id"); !bos.empty()) result.bos_token_id = bos.front();
  result.eos_token_ids = ids("eos_token_id");
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
  if (config.sliding_window) {
    check_size("the sliding window", *config.sliding_window, std::numeric_limits<std::int32_t>::max());
  }
  check_rope(config, where);

  const auto check_token = [&](const char* what, std::int32_t id) {
    require(0 <= id && id < config.vocab_size, "{}: {} is {}: expected less than the vocabulary's size {}", where, what,
            id, config.vocab_size);
  };
  if (config.bos_token_id) check_token("bos_token_id", *config.bos_token_id);
  for (const auto id : config.eos_token_ids) check_token("eos_token_id", id);
}

std::int64_t context_length(const LlamaConfig& config) {
  constexpr double most = std::numeric_limits<std::int32_t>::max();
  const auto scaled = static_cast<std::int64_t>(std::min(rope_context(config).value_or(0), most));
  const auto context = std::max(config.max_position_embeddings, scaled);
  return config.sliding_window ? std::min(context, *config.sliding_window) : context;
}

std::string context_text(const LlamaConfig& config) {
  const auto context = context_length(config);
  if (config.sliding_window != context) return fmt::format("the model's context of {}", context);
  return fmt::format("the model's sliding window of {}, beyond which attention is not built (--max-length)", context);
}

}  // namespace csreft
