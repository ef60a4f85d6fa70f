// Folders as people have them: tensors under other names, of other types, too many, too few, or none.
#include "models/checkpoints/hugging_face_folder.h"

#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/tensor/random.h"
#include "core/tensor/safetensors.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/fingerprint.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_chat.h"

using csreft::DType;
using csreft::open_checkpoint;
using csreft::Tensor;

namespace {

using Tensors = std::vector<std::pair<std::string, Tensor>>;

// The small chat model, whose files a test changes.
struct Odd {
  TinyChat chat{};

  std::string refusal() const {
    return error_text([&] { return open_checkpoint(chat.path()); });
  }
  // Whether the folder holds the model with these weights.
  bool holds(const Tensors& expected) const {
    const auto checkpoint = open_checkpoint(chat.path());
    return std::ranges::all_of(expected, [&](const auto& named) {
      const Tensor read = checkpoint.tensor(named.first);
      return std::ranges::equal(read.span<float>(), named.second.template span<float>());
    });
  }
  void tie() {
    chat.config["tie_word_embeddings"] = true;
    chat.write_config(chat.config);
  }
  void remove_weights() const { std::filesystem::remove(chat.path() / "model.safetensors"); }
};

Tensors renamed(const Tensors& tensors, const std::function<std::string(const std::string&)>& name) {
  Tensors changed;
  for (const auto& [old, tensor] : tensors) changed.emplace_back(name(old), tensor);
  return changed;
}

Tensors without(Tensors tensors, const std::string& name) {
  std::erase_if(tensors, [&](const auto& named) { return named.first == name; });
  return tensors;
}

}  // namespace

TEST_CASE("a tied model keeps its one matrix under either name, or under both") {
  Odd odd;
  odd.tie();
  const Tensors both = odd.chat.weights;
  const Tensors embedding_only = without(both, "lm_head.weight");
  const Tensors head_only = renamed(embedding_only, [](const std::string& name) {
    return name == "model.embed_tokens.weight" ? std::string("lm_head.weight") : name;
  });
  for (const auto& tensors : {both, embedding_only, head_only}) {
    odd.chat.write_weights(tensors);
    CHECK(odd.holds(embedding_only));
  }
  odd.chat.write_weights(without(embedding_only, "model.embed_tokens.weight"));
  CHECK(contains(odd.refusal(), "tensor model.embed_tokens.weight is missing"));
}

TEST_CASE("a model that is not tied needs both matrices") {
  const Odd odd;
  for (const char* name : {"lm_head.weight", "model.embed_tokens.weight"}) {
    odd.chat.write_weights(without(odd.chat.weights, name));
    CHECK(contains(odd.refusal(), fmt::format("tensor {} is missing", name)));
  }
}

TEST_CASE("tensors without the prefix model., or with another before it, are found") {
  const Odd odd;
  const auto bare = [](const std::string& name) { return name.starts_with("model.") ? name.substr(6) : name; };
  const auto compiled = [](const std::string& name) { return "_orig_mod." + name; };
  odd.chat.write_weights(renamed(odd.chat.weights, bare));
  CHECK(odd.holds(odd.chat.weights));
  odd.chat.write_weights(renamed(odd.chat.weights, compiled));
  CHECK(odd.holds(odd.chat.weights));
}

TEST_CASE("weights of several types load as f32") {
  const Odd odd;
  Tensors mixed = odd.chat.weights, expected = odd.chat.weights;
  mixed[0].second = mixed[0].second.to(DType::f64);
  mixed[1].second = mixed[1].second.to(DType::bf16);
  expected[1].second = mixed[1].second.to(DType::f32);
  odd.chat.write_weights(mixed);
  CHECK(odd.holds(expected));
  // A matrix in F64 stays in the file as one in bf16 does.
  for (const std::size_t i : {0U, 1U}) {
    if (mixed[i].second.shape().rank() != 2) continue;
    const auto stored = open_checkpoint(odd.chat.path()).stored(mixed[i].first);
    REQUIRE(stored.has_value());
    const Tensor decoded = stored->decoded();
    CHECK(std::ranges::equal(decoded.span<float>(), expected[i].second.span<float>()));
  }
}

TEST_CASE("buffers are passed over, heads of other tasks too and told of; what the network would use is refused") {
  const Odd odd;
  const auto with = [&](const std::string& name, const Tensor& tensor) {
    Tensors more = odd.chat.weights;
    more.emplace_back(name, tensor);
    odd.chat.write_weights(more);
  };
  for (const char* buffer : {"model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq",
                             "model.layers.1.self_attn.masked_bias", "model.layers.0.self_attn.rotary_emb.cos_cached",
                             "model.layers.0.self_attn.bias"}) {
    with(buffer, Tensor::zeros({2, 2}, DType::i32));
    CHECK(odd.refusal().empty());
    CHECK(odd.chat.load().notes.empty());
  }
  with("v_head.summary.weight", Tensor::zeros({1, 16}));
  CHECK(odd.refusal().empty());
  REQUIRE(odd.chat.load().notes.size() == 1);
  CHECK(contains(odd.chat.load().notes[0], "v_head.summary.weight"));
  for (const char* used : {"model.layers.0.self_attn.q_proj.bias", "model.layers.2.mlp.up_proj.weight",
                           "model.layers.0.self_attn.q_norm.weight", "lm_head.bias", "model.extra.weight"}) {
    with(used, Tensor::zeros({16}));
    CHECK(contains(odd.refusal(), fmt::format("tensor {} does not belong to the model", used)));
  }
}

TEST_CASE("weights of types that no weight has are refused by name") {
  const Odd odd;
  Tensors integers = odd.chat.weights;
  for (auto& [name, tensor] : integers) {
    if (name == "model.embed_tokens.weight") tensor = Tensor::zeros(tensor.shape(), DType::i32);
  }
  odd.chat.write_weights(integers);
  CHECK(contains(odd.refusal(), "tensor model.embed_tokens.weight is of type I32: expected F32, F16, BF16 or F64"));
}

TEST_CASE("a folder that is something else is named for what it is") {
  const TemporaryFolder folder;
  const auto refusal = [&] { return error_text([&] { return open_checkpoint(folder.path()); }); };
  CHECK(contains(refusal(), "has no config.json: expected a Hugging Face folder"));
  const auto gguf = folder.write("model.Q4_K_M.gguf", "GGUF");
  CHECK(contains(refusal(), "has no config.json, but a GGUF: expected the file itself, " + gguf.string()));
  folder.write("adapter_config.json", "{}");
  CHECK(contains(refusal(), "is an adapter of peft (adapter_config.json), not a model: expected --adapter with it"));
  std::filesystem::remove(folder / "adapter_config.json");
  folder.write("adapter.json", "{}");
  CHECK(contains(refusal(), "is an adapter (adapter.json), not a model"));
  std::filesystem::remove(folder / "adapter.json");
  std::filesystem::create_directory(folder / "adapter");
  CHECK(contains(refusal(), "is the folder of a run, not a model"));
  CHECK(contains(error_text([&] { return open_checkpoint(folder.write("model.safetensors", "")); }),
                 "is one file of a Hugging Face folder: expected the folder"));
}

TEST_CASE("weights in another format, and shards without an index, are named") {
  const Odd odd;
  odd.remove_weights();
  CHECK(contains(odd.refusal(), "has no weights: expected model.safetensors or model.safetensors.index.json"));
  odd.chat.write("training_args.bin", "PK");
  CHECK(contains(odd.refusal(), "has no weights"));
  for (const char* name : {"pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "consolidated.00.pth",
                           "tf_model.h5", "flax_model.msgpack"}) {
    odd.chat.write(name, "PK");
    CHECK(contains(odd.refusal(), fmt::format("{} is not read: convert it to safetensors", name)));
    std::filesystem::remove(odd.chat.path() / name);
  }
  odd.chat.write("model-00001-of-00002.safetensors", "x");
  CHECK(contains(odd.refusal(), "has model-00001-of-00002.safetensors, but no model.safetensors.index.json"));
}

TEST_CASE("git-lfs pointers are named for what they are, whichever file they stand for") {
  const Odd odd;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
  const auto refusal = [&] { return error_text([&] { return odd.chat.load().name; }); };
  for (const char* name : {"tokenizer.json", "model.safetensors", "generation_config.json", "config.json"}) {
    odd.chat.write(name, pointer);
    CHECK(contains(refusal(), fmt::format("{} is a git-lfs pointer", name)));
  }
  const Odd other;
  std::filesystem::remove(other.chat.path() / "tokenizer.json");
  other.chat.write("tokenizer.model", pointer);
  CHECK(contains(error_text([&] { return other.chat.load().name; }), "tokenizer.model is a git-lfs pointer"));
}

TEST_CASE("a tensor that the index does not list counts where it lies") {
  const Odd odd;
  Tensors all = odd.chat.weights;
  all.emplace_back("model.layers.0.self_attn.rotary_emb.inv_freq", Tensor::zeros({4}));
  odd.chat.write_weights(all);
  std::filesystem::rename(odd.chat.path() / "model.safetensors", odd.chat.path() / "shard.safetensors");
  nlohmann::json map;
  for (std::size_t i = 1; i < odd.chat.weights.size(); ++i) map[odd.chat.weights[i].first] = "shard.safetensors";
  odd.chat.write("model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  CHECK(odd.holds(odd.chat.weights));
}

TEST_CASE("the stops of generation_config.json count beside the config's, each once") {
  const Odd odd;
  const auto stops = [&](const nlohmann::json& json) {
    odd.chat.write("generation_config.json", json.dump());
    return open_checkpoint(odd.chat.path()).config.eos_token_ids;
  };
  using Ids = std::vector<std::int32_t>;
  CHECK(stops({{"eos_token_id", {5, 1, 7}}}) == Ids{1, 5, 7});
  CHECK(stops({{"eos_token_id", 9}}) == Ids{1, 9});
  CHECK(stops({{"eos_token_id", nullptr}}) == Ids{1});
  CHECK(stops({{"temperature", 0.6}}) == Ids{1});
  CHECK(stops({{"eos_token_id", 100'000}}) == Ids{1});
  REQUIRE(odd.chat.load().notes.size() == 1);
  CHECK(contains(odd.chat.load().notes[0],
                 "generation_config.json: eos_token_id 100000 is passed over: the model has 258 tokens"));
  CHECK(contains(error_text([&] {
                   return stops({{"eos_token_id", "</s>"}});
                 }),
                 "generation_config.json: `eos_token_id` is \"</s>\": expected a token id"));
}
