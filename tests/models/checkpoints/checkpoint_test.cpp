#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/tensor/random.h"
#include "core/tensor/safetensors.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/text/gguf_tokenizer.h"
#include "models/text/unicode.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

using csreft::Checkpoint;
using csreft::DType;
using csreft::LlamaConfig;
using csreft::open_checkpoint;
using csreft::parameter_count;
using csreft::parameter_shapes;
using csreft::parse_llama_config;
using csreft::random_normal;
using csreft::save_safetensors;
using csreft::Tensor;
using csreft::TokenizerFolder;
using csreft::write_file_atomically;

namespace {

using Tensors = std::vector<std::pair<std::string, Tensor>>;

nlohmann::json tiny_config() {
  return {{"model_type", "llama"},
          {"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", 6},
          {"hidden_size", 8},
          {"intermediate_size", 12},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 1},
          {"max_position_embeddings", 32},
          {"rms_norm_eps", 1e-5},
          {"bos_token_id", 1},
          {"eos_token_id", 2}};
}

LlamaConfig parse(const nlohmann::json& config) { return parse_llama_config(config, "config.json"); }

// What is said of the tiny config with `key` changed.
std::string refusal(const std::string& key, const nlohmann::json& value) {
  auto config = tiny_config();
  config[key] = value;
  return error_text([&] { return parse(config); });
}

Tensors random_weights(const LlamaConfig& config) {
  Tensors tensors;
  for (const auto& [name, shape] : parameter_shapes(config)) {
    tensors.emplace_back(name, random_normal(shape, 0, 1, 1, tensors.size()));
  }
  return tensors;
}

void write_config(const TemporaryFolder& folder, const nlohmann::json& config) {
  write_file_atomically(folder / "config.json", config.dump());
}

// Two shards with an index; `index` may be changed before it is written.
nlohmann::json write_shards(const TemporaryFolder& folder, const Tensors& tensors) {
  const auto middle = tensors.begin() + 5;
  save_safetensors(folder / "1.safetensors", {tensors.begin(), middle});
  save_safetensors(folder / "2.safetensors", {middle, tensors.end()});
  nlohmann::json map;
  for (auto it = tensors.begin(); it != tensors.end(); ++it) {
    map[it->first] = it < middle ? "1.safetensors" : "2.safetensors";
  }
  return {{"weight_map", map}};
}

std::string refusal_of_index(const TemporaryFolder& folder, const nlohmann::json& index) {
  write_file_atomically(folder / "model.safetensors.index.json", index.dump());
  return error_text([&] { return open_checkpoint(folder.path()); });
}

void check_same(const Checkpoint& checkpoint, const Tensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    CAPTURE(name);
    const Tensor read = checkpoint.tensor(name);
    REQUIRE(read.shape() == tensor.shape());
    CHECK(std::ranges::equal(read.span<float>(), tensor.span<float>()));
  }
}

}  // namespace

TEST_CASE("a config is read, with Hugging Face's defaults where keys are absent") {
  const auto config = parse(tiny_config());
  CHECK(config.vocab_size == 6);
  CHECK(config.hidden_size == 8);
  CHECK(config.intermediate_size == 12);
  CHECK(config.n_layers == 2);
  CHECK(config.n_heads == 2);
  CHECK(config.n_kv_heads == 1);
  CHECK(config.head_dim == 4);
  CHECK(config.max_position_embeddings == 32);
  CHECK(config.rms_norm_eps == 1e-5);
  CHECK(config.rope_theta == 10'000);
  CHECK(std::holds_alternative<csreft::PlainRope>(config.rope_scaling));
  CHECK(config.family == "llama");
  CHECK_FALSE(config.tie_word_embeddings);
  CHECK(config.bos_token_id == 1);
  CHECK(config.eos_token_ids == std::vector<std::int32_t>{2});

  auto changed = tiny_config();
  changed.erase("num_key_value_heads");
  changed.erase("bos_token_id");
  changed["eos_token_id"] = {2, 3};
  changed["head_dim"] = 6;
  changed["rope_theta"] = 500000;
  changed["rope_scaling"] = nullptr;
  changed["tie_word_embeddings"] = true;
  const auto other = parse(changed);
  CHECK(other.n_kv_heads == 2);
  CHECK_FALSE(other.bos_token_id);
  CHECK(other.eos_token_ids == std::vector<std::int32_t>{2, 3});
  CHECK(other.head_dim == 6);
  CHECK(other.rope_theta == 500'000);
  CHECK(other.tie_word_embeddings);
}

TEST_CASE("a config that is no Llama's is refused by key") {
  for (const char* key : {"model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "max_position_embeddings", "rms_norm_eps"}) {
    CHECK(contains(refusal(key, nullptr), std::string("config.json: `") + key + "` is missing"));
    CHECK(contains(refusal(key, nlohmann::json::array()), std::string("config.json: `") + key + "` is array"));
  }
  CHECK(contains(refusal("hidden_size", 8.5), "`hidden_size` is number: expected an integer"));
  CHECK(contains(refusal("hidden_size", 9), "hidden_size 9 is no multiple of 2 attention heads"));
  CHECK(contains(refusal("hidden_size", -8), "the hidden size is -8"));
  CHECK(contains(refusal("vocab_size", 0), "the vocabulary's size is 0"));
  CHECK(contains(refusal("num_hidden_layers", 1'000'000'000), "the number of layers is 1000000000"));
  CHECK(contains(refusal("num_attention_heads", 0), "num_attention_heads is 0"));
  CHECK(contains(refusal("num_key_value_heads", 3), "key/value heads is 3: expected 1 to 2"));
  CHECK(contains(refusal("head_dim", 3), "the head dimension is 3: expected an even number"));
  CHECK(contains(refusal("model_type", "gemma2"),
                 "model_type is gemma2: expected a model of the families llama, mistral, qwen2"));
  CHECK(contains(refusal("architectures", {"LlamaForTokenClassification"}), "expected [\"LlamaForCausalLM\"]"));
  CHECK(contains(refusal("hidden_act", "gelu"), "hidden_act is gelu: expected silu"));
  CHECK(refusal("architectures", {"LlamaModel"}).empty());
  CHECK(contains(refusal("architectures", {"MistralForCausalLM"}), "expected [\"LlamaForCausalLM\"]"));
  CHECK(contains(refusal("attention_bias", 1), "`attention_bias` is number: expected true or false"));
  CHECK(contains(refusal("quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}), "quantised by gptq"));
  CHECK(contains(refusal("quantization_config", {{"quant_method", "awq"}}), "quantised by awq, which is not read"));
  CHECK(contains(refusal("quantization_config", {{"load_in_4bit", true}}), "quantised by bitsandbytes"));
  CHECK(contains(refusal("partial_rotary_factor", 0.5), "partial_rotary_factor is 0.5: expected 1"));
  CHECK(contains(refusal("rms_norm_eps", 0), "the epsilon of RMSNorm is 0"));
  CHECK(contains(refusal("rope_theta", -1), "rope_theta is -1"));
  CHECK(contains(refusal("eos_token_id", "</s>"), "`eos_token_id` is \"</s>\": expected a token id"));
  CHECK(contains(refusal("bos_token_id", 1.5), "`bos_token_id` is 1.5: expected a token id"));
  auto config = tiny_config();
  config["num_attention_heads"] = 4;
  config["num_key_value_heads"] = 3;
  CHECK(contains(error_text([&] { return parse(config); }), "4 attention heads are no multiple of 3"));
}

TEST_CASE("token ids that the vocabulary lacks are passed over, with one note a key") {
  auto config = tiny_config();
  config["eos_token_id"] = {1, 6, 2, 99};
  config["bos_token_id"] = -1;
  std::vector<std::string> notes;
  const auto read = parse_llama_config(config, "config.json", &notes);
  CHECK(read.eos_token_ids == std::vector<std::int32_t>{1, 2});
  CHECK_FALSE(read.bos_token_id.has_value());
  CHECK(notes == std::vector<std::string>{"config.json: bos_token_id -1 is passed over: the model has 6 tokens",
                                          "config.json: eos_token_id 6 is passed over: the model has 6 tokens"});
}

TEST_CASE("Llama-2-7B has 6,738,415,616 parameters") {
  LlamaConfig config;
  config.vocab_size = 32'000;
  config.hidden_size = 4096;
  config.intermediate_size = 11'008;
  config.n_layers = config.n_heads = config.n_kv_heads = 32;
  config.head_dim = 128;
  CHECK(parameter_count(config) == 6'738'415'616);
  config.tie_word_embeddings = true;
  CHECK(parameter_count(config) == 6'738'415'616 - 32'000 * 4096);
}

TEST_CASE("a folder with one file is read as it was written") {
  const TemporaryFolder folder;
  write_config(folder, tiny_config());
  const auto tensors = random_weights(parse(tiny_config()));
  save_safetensors(folder / "model.safetensors", tensors);
  const auto checkpoint = open_checkpoint(folder.path() / "");
  CHECK(checkpoint.name == folder.path().filename());
  CHECK(std::get<TokenizerFolder>(checkpoint.tokenizer).path == checkpoint.path);
  CHECK(checkpoint.chat_template.empty());
  check_same(checkpoint, tensors);
  CHECK(contains(error_text([&] { return checkpoint.tensor("model.layers.9.mlp.up_proj.weight"); }),
                 "holds no tensor model.layers.9"));
}

TEST_CASE("bf16 weights become f32") {
  const TemporaryFolder folder;
  write_config(folder, tiny_config());
  auto tensors = random_weights(parse(tiny_config()));
  for (auto& [_, tensor] : tensors) tensor = tensor.to(DType::bf16);
  save_safetensors(folder / "model.safetensors", tensors);
  for (auto& [_, tensor] : tensors) tensor = tensor.to(DType::f32);
  check_same(open_checkpoint(folder.path()), tensors);
}

TEST_CASE("shards are joined by their index") {
  const TemporaryFolder folder;
  write_config(folder, tiny_config());
  const auto tensors = random_weights(parse(tiny_config()));
  CHECK(refusal_of_index(folder, write_shards(folder, tensors)).empty());
  check_same(open_checkpoint(folder.path()), tensors);
}

TEST_CASE("an index and shards that contradict each other are refused") {
  const TemporaryFolder folder;
  write_config(folder, tiny_config());
  const auto index = write_shards(folder, random_weights(parse(tiny_config())));
  const auto with = [&](const std::string& tensor, const nlohmann::json& shard) {
    auto changed = index;
    changed["weight_map"][tensor] = shard;
    return refusal_of_index(folder, changed);
  };
  CHECK(contains(with("model.norm.weight", "3.safetensors"),
                 "3.safetensors is missing: model.safetensors.index.json names it"));
  CHECK(contains(with("model.norm.weight", "1.safetensors"), "tensor model.norm.weight is not in 1.safetensors"));
  CHECK(contains(with("model.norm.weight", "../2.safetensors"), "shard ../2.safetensors of tensor model.norm.weight"));
  CHECK(contains(with("model.norm.weight", 2), "`model.norm.weight` is number"));
  auto less = index;
  less["weight_map"].erase("model.norm.weight");
  CHECK(refusal_of_index(folder, less).empty());  // it counts where it lies
  CHECK(contains(refusal_of_index(folder, {{"weights", 1}}), "`weight_map` is missing"));
}

TEST_CASE("tensors that the config does not describe are refused") {
  const TemporaryFolder folder;
  const auto config = parse(tiny_config());
  write_config(folder, tiny_config());
  const auto refusal_of = [&](const Tensors& tensors) {
    save_safetensors(folder / "model.safetensors", tensors);
    return error_text([&] { return open_checkpoint(folder.path()); });
  };
  const auto whole = random_weights(config);
  CHECK(refusal_of(whole).empty());

  auto tensors = whole;
  tensors.pop_back();
  CHECK(contains(refusal_of(tensors), "tensor lm_head.weight is missing: expected shape [6, 8]"));
  tensors = whole;
  tensors[2].second = Tensor::zeros({8, 9});
  CHECK(contains(refusal_of(tensors), "q_proj.weight has shape [8, 9]: the config wants [8, 8]"));
  tensors = whole;
  tensors[0].second = Tensor::zeros({7, 8});
  CHECK(contains(refusal_of(tensors), "model.embed_tokens.weight has shape [7, 8]: the config wants [6, 8]"));
  tensors[0].second = Tensor::zeros({6, 8}, DType::i32);
  CHECK(
      contains(refusal_of(tensors), "tensor model.embed_tokens.weight is of type I32: expected F32, F16, BF16 or F64"));
  tensors = whole;
  tensors.emplace_back("model.layers.0.self_attn.q_proj.bias", Tensor::zeros({8}));
  CHECK(contains(refusal_of(tensors), "q_proj.bias does not belong"));
  tensors.back().first = "model.layers.2.mlp.up_proj.weight";
  CHECK(contains(refusal_of(tensors), "layers.2.mlp.up_proj.weight does not belong"));
}

TEST_CASE("the chat template is the tokenizer's") {
  const TemporaryFolder folder;
  write_config(folder, tiny_config());
  save_safetensors(folder / "model.safetensors", random_weights(parse(tiny_config())));
  const auto with = [&](const nlohmann::json& chat_template) {
    write_file_atomically(folder / "tokenizer_config.json", nlohmann::json{{"chat_template", chat_template}}.dump());
    return open_checkpoint(folder.path()).chat_template;
  };
  CHECK(with("{{ a }}") == "{{ a }}");
  CHECK(with(nullptr).empty());
  const nlohmann::json other{{"name", "tool_use"}, {"template", "t"}};
  const nlohmann::json standard{{"name", "default"}, {"template", "d"}};
  CHECK(with(nlohmann::json::array({other, standard})) == "d");
  const auto failure = [&](const nlohmann::json& chat_template) {
    CHECK(with(chat_template).empty());
    return open_checkpoint(folder.path()).chat_template_failure;
  };
  CHECK(contains(failure(nlohmann::json::array({other})), "has no 'default'"));
  CHECK(contains(failure(nlohmann::json::array({"t"})), "holds string: expected objects"));
  CHECK(contains(failure(3), "`chat_template` is number"));
  CHECK(failure(nullptr).empty());
  folder.write("chat_template.jinja", "{{ b }}");
  CHECK(with("{{ a }}") == "{{ b }}");
}

TEST_CASE("a path that is no model is refused with what is accepted") {
  const TemporaryFolder folder;
  const auto refuse = [](const std::filesystem::path& path) {
    return error_text([&] { return open_checkpoint(path); });
  };
  CHECK(contains(refuse(folder / "none"), "does not exist: expected a folder, a .gguf or a .bin file, or smollm2"));
  CHECK(contains(refuse(folder.write("a.pt", "x")), "of no known kind: expected a Hugging Face folder, a .gguf"));
  CHECK(contains(refuse(folder.path()), "has no config.json"));
  folder.write("config.json", "{\"model_type\":");
  CHECK(contains(refuse(folder.path()), "config.json is not valid JSON: syntax error at byte 15"));
  folder.write("config.json", "{\"vocab_size\":1,\"vocab_size\":2}");
  CHECK(contains(refuse(folder.path()), "config.json: `vocab_size` appears twice"));
  write_config(folder, tiny_config());
  CHECK(contains(refuse(folder.path()), "a.pt is not read: convert it to safetensors"));
  std::filesystem::remove(folder / "a.pt");
  CHECK(contains(refuse(folder.path()), "has no weights: expected model.safetensors or model.safetensors.index.json"));
}

TEST_CASE("a tokenizer is opened by its path, and the vocabulary of bytes has every text") {
  const TemporaryFolder folder;
  CHECK(std::holds_alternative<csreft::TokenizerFolder>(csreft::open_tokenizer(folder.path()).source));
  CHECK(std::holds_alternative<csreft::TokenizerFile>(
      csreft::open_tokenizer(folder.write("tokenizer.json", "{}")).source));
  CHECK(contains(error_text([&] { return csreft::open_tokenizer(folder / "none").chat_template; }),
                 "none does not exist: expected a folder, a tokenizer.json, a tokenizer.model or a GGUF"));
  const auto tokenizer = csreft::make_gguf_tokenizer(csreft::byte_vocabulary(), "bytes");
  std::string all;
  for (int c = 1; c < 0x250; ++c) csreft::append_utf8(all, static_cast<char32_t>(c));
  CHECK(tokenizer.encode(all).size() == all.size());
  CHECK(tokenizer.decode(tokenizer.encode(all)) == all);
  CHECK(tokenizer.encode("<s></s>") == std::vector<std::int32_t>{256, 257});
  CHECK(tokenizer.vocab_size() == 258);
}
