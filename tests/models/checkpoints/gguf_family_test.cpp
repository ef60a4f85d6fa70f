// The same model as a GGUF and as a Hugging Face folder.
#include <algorithm>

#include <doctest/doctest.h>

#include "models/checkpoints/gguf_config.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/llama.h"
#include "models/llama/rope.h"
#include "tests/error_text.h"
#include "tests/golden_families.h"
#include "tests/models/checkpoints/gguf_builder.h"
#include "tests/source.h"
#include "tests/temporary_folder.h"

using csreft::Checkpoint;
using csreft::LlamaConfig;
using csreft::open_checkpoint;
using csreft::Tensor;

namespace {

GoldenFamily family_named(const std::string& name) {
  const auto all = read_golden_families(source("tests/golden/families"));
  return *std::ranges::find(all, name, &GoldenFamily::name);
}

void add_sizes(GgufBuilder& builder, const std::string& architecture, const LlamaConfig& config) {
  const auto number = [&](const char* key, std::int64_t value) {
    builder.number(architecture + "." + key, static_cast<std::uint32_t>(value));
  };
  builder.text("general.architecture", architecture);
  number("block_count", config.n_layers);
  number("context_length", config.max_position_embeddings);
  number("embedding_length", config.hidden_size);
  number("feed_forward_length", config.intermediate_size);
  number("attention.head_count", config.n_heads);
  number("attention.head_count_kv", config.n_kv_heads);
  number("attention.key_length", config.head_dim);
  builder.key(architecture + ".attention.layer_norm_rms_epsilon", 12, bytes_of(config.rms_norm_eps));
  builder.key(architecture + ".rope.freq_base", 12, bytes_of(config.rope_theta));
  std::vector<std::string> tokens;
  for (std::int64_t i = 0; i < config.vocab_size; ++i) tokens.push_back(fmt::format("t{}", i));
  builder.text("tokenizer.ggml.model", "gpt2");
  builder.texts("tokenizer.ggml.tokens", tokens);
}

// Rows as llama.cpp's converter puts those of q and k of a Llama, their biases too: 2i and 2i + 1 of a head together.
std::string stored_bytes(const Tensor& tensor, std::int64_t head_dim) {
  const std::int64_t rows = tensor.shape()[0], columns = tensor.numel() / rows;
  std::vector<float> stored(static_cast<std::size_t>(tensor.numel()));
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t head = row / std::max<std::int64_t>(head_dim, 1), within = row - head * head_dim;
    const std::int64_t to =
        head_dim == 0 ? row : head * head_dim + within % (head_dim / 2) * 2 + within / (head_dim / 2);
    std::copy_n(tensor.data<const float>() + row * columns, columns, stored.begin() + to * columns);
  }
  return bytes_of(stored);
}

void add_tensors(GgufBuilder& builder, const Checkpoint& checkpoint, bool interleaved) {
  for (const auto& [name, shape] : csreft::parameter_shapes(checkpoint.config)) {
    std::vector<std::uint64_t> extents;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) extents.push_back(static_cast<std::uint64_t>(shape[axis]));
    const bool turned = interleaved && csreft::is_rotated(name);
    builder.tensor(csreft::gguf_name(name), extents, 0,
                   stored_bytes(checkpoint.tensor(name), turned ? checkpoint.config.head_dim : 0));
  }
}

// Whether both have the same config, as far as the network goes, and the same weights.
void check_same(const Checkpoint& gguf, const Checkpoint& folder) {
  CHECK(parameter_shapes(gguf.config) == parameter_shapes(folder.config));
  CHECK(gguf.config.rms_norm_eps == folder.config.rms_norm_eps);
  CHECK(rope_inverse_frequencies(gguf.config) == rope_inverse_frequencies(folder.config));
  CHECK(rope_attention_factor(gguf.config) == doctest::Approx(rope_attention_factor(folder.config)).epsilon(1e-14));
  CHECK(context_length(gguf.config) == context_length(folder.config));
  for (const auto& [name, shape] : parameter_shapes(folder.config)) {
    CAPTURE(name);
    CHECK(std::ranges::equal(gguf.tensor(name).span<float>(), folder.tensor(name).span<float>()));
  }
}

void check_gguf_of(const std::string& name, const std::string& architecture,
                   const std::function<void(GgufBuilder&)>& add_keys = {}) {
  CAPTURE(name);
  const auto folder = family_named(name).open();
  GgufBuilder builder;
  add_sizes(builder, architecture, folder.config);
  if (add_keys) add_keys(builder);
  add_tensors(builder, folder, architecture == "llama");
  const TemporaryFolder files;
  check_same(open_checkpoint(files.write("a.gguf", builder.bytes())), folder);
}

}  // namespace

TEST_CASE("a GGUF of each family is the model of its folder, biases in their order") {
  check_gguf_of("llama", "llama");
  check_gguf_of("llama-head-dim", "llama");
  check_gguf_of("llama-biases", "llama");
  check_gguf_of("mistral", "llama", [](GgufBuilder& b) { b.number("llama.attention.sliding_window", 24U); });
  check_gguf_of("qwen2", "qwen2");
  check_gguf_of("qwen2-tied", "qwen2");
}

TEST_CASE("a GGUF's rotation is the one of its folder's config") {
  const auto linear = [](GgufBuilder& b) {
    b.text("llama.rope.scaling.type", "linear");
    b.number("llama.rope.scaling.factor", 4.0F);
  };
  check_gguf_of("rope-linear", "llama", linear);
  check_gguf_of("rope-linear", "llama", [](GgufBuilder& b) { b.number("llama.rope.scale_linear", 4.0F); });
  check_gguf_of("rope-yarn", "llama", [](GgufBuilder& b) {
    b.text("llama.rope.scaling.type", "yarn");
    b.number("llama.rope.scaling.factor", 4.0F);
    b.number("llama.rope.scaling.original_context_length", 16U);
  });
  check_gguf_of("rope-v5-yarn", "qwen2", [](GgufBuilder& b) {
    b.text("qwen2.rope.scaling.type", "yarn");
    b.number("qwen2.rope.scaling.factor", 4.0F);
    b.number("qwen2.rope.scaling.original_context_length", 16U);
    b.number("qwen2.rope.scaling.attn_factor", 1.0F);
  });
}

TEST_CASE("stops of a GGUF are its end of text, of turn and of message, each once") {
  const auto folder = family_named("llama").open();
  GgufBuilder builder;
  add_sizes(builder, "llama", folder.config);
  builder.number("tokenizer.ggml.eos_token_id", 2U);
  builder.number("tokenizer.ggml.eot_token_id", 5U);
  builder.number("tokenizer.ggml.eom_token_id", 2U);
  add_tensors(builder, folder, true);
  const TemporaryFolder files;
  CHECK(open_checkpoint(files.write("a.gguf", builder.bytes())).config.eos_token_ids ==
        std::vector<std::int32_t>{2, 5});
}

TEST_CASE("constants of YaRN that are not built are refused by key") {
  const auto folder = family_named("llama").open();
  for (const char* key : {"yarn_ext_factor", "yarn_attn_factor", "yarn_log_multiplier"}) {
    GgufBuilder builder;
    add_sizes(builder, "llama", folder.config);
    builder.text("llama.rope.scaling.type", "yarn");
    builder.number("llama.rope.scaling.factor", 4.0F);
    builder.number(fmt::format("llama.rope.scaling.{}", key), 0.5F);
    add_tensors(builder, folder, true);
    const TemporaryFolder files;
    const auto path = files.write("a.gguf", builder.bytes());
    CHECK(contains(error_text([&] { return open_checkpoint(path); }),
                   fmt::format("llama.rope.scaling.{} is 0.5: expected", key)));
  }
}
