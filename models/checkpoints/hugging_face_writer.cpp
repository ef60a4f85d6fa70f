#include "models/checkpoints/hugging_face_writer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/base/atomic_file.h"
#include "core/base/atomic_folder.h"
#include "core/base/error.h"
#include "core/base/folder.h"
#include "models/llama/families/family.h"
#include "models/llama/rope.h"
#include "models/text/hugging_face_tokenizer.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ElementType = SafeTensors::ElementType;
using NamedShapes = std::vector<std::pair<std::string, Shape>>;

void write_json(const fs::path& path, const json& contents) { write_file_atomically(path, contents.dump(2) + "\n"); }

// An id, or a list where there are several.
json token_ids(const std::vector<std::int32_t>& ids) { return ids.size() == 1 ? json(ids[0]) : json(ids); }

// The Llama 3 rule whose divisors are `config.rope_factors`; nothing if it does not make them. Its published models all
// have the bands and the context below; the divisor of the lowest frequency is the factor itself.
std::optional<Llama3Rope> llama3_rule(const LlamaConfig& config) {
  LlamaConfig plain = config, scaled = config;
  plain.rope_factors.clear();
  scaled.rope_factors.clear();
  const Llama3Rope rule{.factor = config.rope_factors.back(),
                        .low_freq_factor = 1,
                        .high_freq_factor = 4,
                        .original_max_position_embeddings = 8192};
  scaled.rope_scaling = rule;
  const auto before = rope_inverse_frequencies(plain), after = rope_inverse_frequencies(scaled);
  constexpr double rounding = 1e-5;  // the factors were stored in f32
  for (std::size_t i = 0; i < before.size(); ++i) {
    const double divisor = before[i] / after[i];
    if (std::abs(divisor - config.rope_factors[i]) > rounding * divisor) return std::nullopt;
  }
  return rule;
}

RopeScaling written_scaling(const LlamaConfig& config, std::string_view where) {
  if (config.rope_factors.empty()) return config.rope_scaling;
  const bool is_plain = std::holds_alternative<PlainRope>(config.rope_scaling);
  const auto rule = is_plain ? llama3_rule(config) : std::nullopt;
  require(rule.has_value(),
          "{}: its rope factors cannot be written as a Hugging Face config: expected those of Llama 3's rule", where);
  return *rule;
}

std::string shard_name(std::size_t index, std::size_t n) {
  return n == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, n);
}

std::int64_t bytes_of(const Shape& shape, ElementType dtype) {
  return shape.numel() * static_cast<std::int64_t>(size_of(dtype));
}

std::vector<NamedShapes> cut_into_shards(const LlamaConfig& config, const HuggingFaceWriteOptions& options) {
  std::vector<NamedShapes> shards(1);
  std::int64_t filled = 0;
  for (const auto& [name, shape] : parameter_shapes(config)) {
    const auto bytes = bytes_of(shape, options.dtype);
    if (!shards.back().empty() && filled + bytes > options.max_shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().emplace_back(name, shape);
    filled += bytes;
  }
  return shards;
}

void write_weights(const fs::path& folder, const LlamaConfig& config,
                   const std::function<Tensor(const std::string&)>& tensor, const HuggingFaceWriteOptions& options) {
  const auto shards = cut_into_shards(config, options);
  std::int64_t total = 0;
  json weight_map = json::object();
  const auto checked = [&](const std::string& name, const Shape& shape) {
    Tensor value = tensor(name);
    require(value.shape() == shape, "tensor {} to be written has shape {}: the config wants {}", name,
            value.shape().str(), shape.str());
    return value;
  };
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto file = shard_name(i, shards.size());
    std::vector<SafeTensorsEntry> entries;
    std::map<std::string, Shape> shapes;
    for (const auto& [name, shape] : shards[i]) {
      entries.push_back({name, shape, options.dtype});
      shapes.emplace(name, shape);
      weight_map[name] = file;
      total += bytes_of(shape, options.dtype);
    }
    // transformers loads no file without this entry.
    save_safetensors(folder / file, entries, [&](const std::string& name) { return checked(name, shapes.at(name)); },
                     {{"format", "pt"}});
  }
  if (shards.size() == 1) return;
  write_json(folder / "model.safetensors.index.json",
             {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}});
}

void copy_whole(const fs::path& from, const fs::path& to) { write_file_atomically(to, read_text_file(from)); }

// Every named template beside the one that is a file of its own.
void copy_named_templates(const fs::path& from, const fs::path& to) {
  const char* name = "additional_chat_templates";
  if (!fs::is_directory(from / name)) return;
  for (const auto& entry : fs::directory_iterator(from / name)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".jinja") continue;
    make_folder(to / name);
    copy_whole(entry.path(), to / name / entry.path().filename());
  }
}

void write_tokenizer(const fs::path& folder, const Checkpoint& source, const TokenizerFolder& tokenizer) {
  bool has_vocabulary = false;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
                           "added_tokens.json", "chat_template.jinja"}) {
    if (!fs::exists(tokenizer.path / name)) continue;
    copy_whole(tokenizer.path / name, folder / name);
    has_vocabulary =
        has_vocabulary || name == std::string_view("tokenizer.json") || name == std::string_view("tokenizer.model");
  }
  copy_named_templates(tokenizer.path, folder);
  require(has_vocabulary, "{} has no tokenizer: expected a file tokenizer.json or tokenizer.model",
          source.path.string());
}

void write_tokenizer(const fs::path& folder, const Checkpoint& source, const TokenizerFile& tokenizer) {
  require(fs::exists(tokenizer.path), "the tokenizer {} of {} does not exist: expected a tokenizer.model beside it",
          tokenizer.path.string(), source.path.string());
  if (tokenizer.path.extension() == ".json") return copy_whole(tokenizer.path, folder / "tokenizer.json");
  require(tokenizer.path.extension() == ".model",
          "the tokenizer {} cannot be written for Hugging Face, as llama2.c's files do not say which tokens are "
          "special: expected its tokenizer.model in its place",
          tokenizer.path.string());
  copy_whole(tokenizer.path, folder / "tokenizer.model");
  json config{{"tokenizer_class", "LlamaTokenizer"},
              {"legacy", false},
              {"add_bos_token", true},
              {"add_eos_token", false},
              {"bos_token", "<s>"},
              {"eos_token", "</s>"},
              {"unk_token", "<unk>"},
              {"use_default_system_prompt", false}};
  if (!source.chat_template.empty()) config["chat_template"] = source.chat_template;
  write_json(folder / "tokenizer_config.json", config);
}

void write_tokenizer(const fs::path& folder, const Checkpoint& source, const TokenizerVocabulary& vocabulary) {
  write_tokenizer_files(folder, vocabulary, source.chat_template, source.path.string());
}

std::string_view torch_name(ElementType dtype) {
  switch (dtype) {
    case ElementType::bf16: return "bfloat16";
    case ElementType::f16: return "float16";
    default: return "float32";
  }
}

void write_configs(const fs::path& folder, const Checkpoint& source, ElementType dtype) {
  json config = llama_config_json(source.config, source.path.string());
  config["torch_dtype"] = torch_name(dtype);
  write_json(folder / "config.json", config);
  const auto* of_folder = std::get_if<TokenizerFolder>(&source.tokenizer);
  const char* const generation = "generation_config.json";
  if (of_folder != nullptr && fs::exists(of_folder->path / generation)) {
    return copy_whole(of_folder->path / generation, folder / generation);
  }
  json defaults = json::object();
  for (const char* key : {"bos_token_id", "eos_token_id"}) {
    if (config.contains(key)) defaults[key] = config[key];
  }
  write_json(folder / generation, defaults);
}

}  // namespace

ElementType parse_weight_type(std::string_view name) {
  if (name == "f32") return ElementType::f32;
  if (name == "bf16") return ElementType::bf16;
  require(name == "f16", "--dtype {} is not possible: expected f32, bf16 or f16", name);
  return ElementType::f16;
}

json llama_config_json(const LlamaConfig& config, std::string_view where) {
  const ModelFamily& family = find_family(config.family);
  json out{{"model_type", family.name},
           {"architectures", {fmt::format("{}ForCausalLM", family.architecture)}},
           {"hidden_act", "silu"},
           {"vocab_size", config.vocab_size},
           {"hidden_size", config.hidden_size},
           {"intermediate_size", config.intermediate_size},
           {"num_hidden_layers", config.n_layers},
           {"num_attention_heads", config.n_heads},
           {"num_key_value_heads", config.n_kv_heads},
           {"head_dim", config.head_dim},
           {"max_position_embeddings", config.max_position_embeddings},
           {"rms_norm_eps", config.rms_norm_eps},
           {"rope_theta", config.rope_theta},
           {"rope_scaling", rope_scaling_json(written_scaling(config, where))},
           {"tie_word_embeddings", config.tie_word_embeddings}};
  family.write(config, where, out);
  // Where they are absent, transformers puts 1 and 2.
  out["bos_token_id"] = config.bos_token_id ? json(*config.bos_token_id) : json(nullptr);
  out["eos_token_id"] = config.eos_token_ids.empty() ? json(nullptr) : token_ids(config.eos_token_ids);
  return out;
}

std::int64_t weight_bytes(const LlamaConfig& config, ElementType dtype) {
  return parameter_count(config) * static_cast<std::int64_t>(size_of(dtype));
}

void write_hugging_face(const fs::path& folder, const Checkpoint& source,
                        const std::function<Tensor(const std::string&)>& tensor,
                        const HuggingFaceWriteOptions& options) {
  require(options.dtype == ElementType::f32 || options.dtype == ElementType::bf16 || options.dtype == ElementType::f16,
          "a model is written as f32, bf16 or f16: got another type");
  AtomicFolder written(folder);
  write_configs(written.path(), source, options.dtype);
  std::visit([&](const auto& tokenizer) { write_tokenizer(written.path(), source, tokenizer); }, source.tokenizer);
  write_weights(written.path(), source.config, tensor, options);
  written.commit();
}

void check_hugging_face_form(const Checkpoint& source) {
  // Config and tokenizer are small: they are written to a folder that is never renamed, and goes again.
  AtomicFolder unused(fs::temp_directory_path() / fmt::format("csreft-form-{}", ::getpid()));
  write_configs(unused.path(), source, ElementType::f32);
  std::visit([&](const auto& tokenizer) { write_tokenizer(unused.path(), source, tokenizer); }, source.tokenizer);
}

}  // namespace csreft
