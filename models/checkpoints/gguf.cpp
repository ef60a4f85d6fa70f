#include "models/checkpoints/gguf.h"

#include <algorithm>
#include <vector>

#include "core/base/json_file.h"
#include "models/checkpoints/gguf_file.h"

namespace csreft {
namespace {

std::optional<std::int32_t> find_token(const nlohmann::json& metadata, const std::string& name,
                                       const std::string& where) {
  const auto id = find_json<std::int64_t>(metadata, "tokenizer.ggml." + name, where);
  require(!id || std::in_range<std::int32_t>(*id), "{}: {} is {}: expected a token id", where, name, id.value_or(0));
  return id;
}

// An array under `tokenizer.ggml.`, empty if it is absent. `holds` tells whether an element has the right type.
template <typename T, typename Holds>
std::vector<T> find_list(const nlohmann::json& metadata, const std::string& name, const std::string& where,
                         Holds holds) {
  const auto found = metadata.find("tokenizer.ggml." + name);
  if (found == metadata.end()) return {};
  require(found->is_array() && std::ranges::all_of(*found, holds), "{}: tokenizer.ggml.{} is ill-typed", where, name);
  return found->template get<std::vector<T>>();
}

TokenizerVocabulary read_vocabulary(const nlohmann::json& metadata, const std::string& where) {
  const auto is_string = [](const nlohmann::json& value) { return value.is_string(); };
  const auto is_number = [](const nlohmann::json& value) { return value.is_number(); };
  TokenizerVocabulary result;
  result.model = get_json<std::string>(metadata, "tokenizer.ggml.model", where);
  result.pre = find_json<std::string>(metadata, "tokenizer.ggml.pre", where).value_or("default");
  result.tokens = find_list<std::string>(metadata, "tokens", where, is_string);
  result.merges = find_list<std::string>(metadata, "merges", where, is_string);
  result.scores = find_list<float>(metadata, "scores", where, is_number);
  result.types = find_list<std::int32_t>(metadata, "token_type", where, is_number);
  result.bos_id = find_token(metadata, "bos_token_id", where);
  result.eos_id = find_token(metadata, "eos_token_id", where);
  result.add_bos = find_json<bool>(metadata, "tokenizer.ggml.add_bos_token", where);
  result.add_space_prefix = find_json<bool>(metadata, "tokenizer.ggml.add_space_prefix", where);

  const auto n = result.tokens.size();
  require(n > 0, "{}: tokenizer.ggml.tokens is missing: expected the vocabulary", where);
  const auto fits = [n](std::size_t size) { return size == 0 || size == n; };
  require(fits(result.scores.size()) && fits(result.types.size()), "{}: {} tokens with {} scores and {} types", where,
          n, result.scores.size(), result.types.size());
  return result;
}

// Throws Error for what changes the computation and is not built: other architectures, experts, scaled rotation other
// than rope_freqs.weight.
void check_supported(const nlohmann::json& metadata, std::int64_t head_dim, const std::string& where) {
  require(find_json<std::int64_t>(metadata, "llama.expert_count", where).value_or(0) == 0,
          "{} is a mixture of experts: expected a plain Llama", where);
  const auto type = find_json<std::string>(metadata, "llama.rope.scaling.type", where).value_or("none");
  require(type == "none" || type == "linear", "{}: llama.rope.scaling.type is {}: expected none", where, type);
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    const auto factor = find_json<double>(metadata, key, where).value_or(1);
    require(factor == 1, "{}: {} is {}: expected 1", where, key, factor);
  }
  const auto rotated = find_json<std::int64_t>(metadata, "llama.rope.dimension_count", where).value_or(head_dim);
  require(rotated == head_dim, "{}: rope turns {} of {} dimensions: expected all", where, rotated, head_dim);
}

LlamaConfig read_config(const GgufFile& gguf, const TokenizerVocabulary& vocabulary, const std::string& where) {
  const auto& metadata = gguf.metadata;
  const auto size = [&](const char* key) { return get_json<std::int64_t>(metadata, key, where); };
  const auto size_or = [&](const char* key, std::int64_t absent) {
    return find_json<std::int64_t>(metadata, key, where).value_or(absent);
  };
  LlamaConfig config;
  config.vocab_size = static_cast<std::int64_t>(vocabulary.tokens.size());
  const auto stated = size_or("llama.vocab_size", config.vocab_size);
  require(stated == config.vocab_size, "{}: {} tokens: llama.vocab_size says {}", where, config.vocab_size, stated);
  config.hidden_size = size("llama.embedding_length");
  config.intermediate_size = size("llama.feed_forward_length");
  config.n_layers = size("llama.block_count");
  config.n_heads = size("llama.attention.head_count");
  require(config.n_heads > 0, "{}: llama.attention.head_count is {}: expected a positive number", where,
          config.n_heads);
  config.n_kv_heads = size_or("llama.attention.head_count_kv", config.n_heads);
  config.head_dim = size_or("llama.attention.key_length", config.hidden_size / config.n_heads);
  config.max_position_embeddings = size("llama.context_length");
  config.rms_norm_eps = get_json<double>(metadata, "llama.attention.layer_norm_rms_epsilon", where);
  config.rope_theta = find_json<double>(metadata, "llama.rope.freq_base", where).value_or(config.rope_theta);
  config.tie_word_embeddings = !gguf.tensors.contains("output.weight");
  config.bos_token_id = vocabulary.bos_id;
  if (vocabulary.eos_id) config.eos_token_ids.push_back(*vocabulary.eos_id);
  const auto turn_end = find_token(metadata, "eot_token_id", where);
  if (turn_end && turn_end != vocabulary.eos_id) config.eos_token_ids.push_back(*turn_end);
  check_supported(metadata, config.head_dim, where);
  return config;
}

// The name in a GGUF file of a parameter with this Hugging Face name.
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
  constexpr std::string_view suffix = ".weight";
  const auto stem = std::string_view(name).substr(0, name.size() - suffix.size());
  if (!stem.starts_with(layers)) return fmt::format("{}{}", parts.find(stem)->second, suffix);
  const auto dot = stem.find('.', layers.size());
  return fmt::format("blk.{}.{}{}", stem.substr(layers.size(), dot - layers.size()),
                     parts.find(stem.substr(dot + 1))->second, suffix);
}

// The tensor as f32; with head_dim > 0 its rows leave Meta's order for Hugging Face's.
Tensor read_tensor(const GgufTensor& tensor, std::int64_t head_dim) {
  if (tensor.type == GgmlType::f32 && head_dim == 0) {
    return Tensor::borrow(tensor.blocks.data(), tensor.shape, DType::f32, tensor.file);
  }
  const auto columns = tensor.shape[tensor.shape.rank() - 1];
  const auto rows = tensor.shape.numel() / columns;
  const auto row_bytes = static_cast<std::int64_t>(tensor.blocks.size()) / rows;
  Tensor result = Tensor::empty(tensor.shape);
  float* values = result.data<float>();
#pragma omp parallel for schedule(static)
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto stored = head_dim > 0 ? interleaved_row(row, head_dim) : row;
    decode_rows(tensor.type, tensor.blocks.data() + stored * row_bytes, columns, values + row * columns);
  }
  tensor.file->forget(tensor.blocks);
  return result;
}

}  // namespace

Checkpoint open_gguf(const std::filesystem::path& path) {
  auto gguf = read_gguf(path);
  const auto where = path.string();
  const auto architecture = get_json<std::string>(gguf.metadata, "general.architecture", where);
  require(architecture == "llama", "{}: general.architecture is {}: expected llama", where, architecture);
  auto vocabulary = read_vocabulary(gguf.metadata, where);

  Checkpoint checkpoint;
  auto& config = checkpoint.config;
  config = read_config(gguf, vocabulary, where);
  if (const auto factors = gguf.tensors.extract("rope_freqs.weight")) {
    const Tensor values = read_tensor(factors.mapped(), 0);
    config.rope_factors.assign(values.data<float>(), values.data<float>() + values.numel());
  }
  check_config(config, where);
  checkpoint.chat_template = find_json<std::string>(gguf.metadata, "tokenizer.chat_template", where).value_or("");
  checkpoint.tokenizer = std::move(vocabulary);

  std::map<std::string, GgufTensor> tensors;
  for (const auto& [name, _] : parameter_shapes(config)) {
    if (const auto stored = gguf.tensors.extract(gguf_name(name))) tensors.emplace(name, stored.mapped());
  }
  tensors.merge(gguf.tensors);
  for (const auto& [name, tensor] : tensors) checkpoint.shapes.emplace(name, tensor.shape);
  const auto head_dim = config.head_dim;
  checkpoint.read = [tensors = std::move(tensors), head_dim](const std::string& name) {
    return read_tensor(tensors.at(name), is_rotated(name) ? head_dim : 0);
  };
  return checkpoint;
}

}  // namespace csreft
