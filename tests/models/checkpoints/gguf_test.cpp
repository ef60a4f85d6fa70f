#include "models/checkpoints/gguf.h"

#include <cmath>

#include <doctest/doctest.h>

#include "models/checkpoints/open_checkpoint.h"
#include "models/language_model.h"
#include "models/llama/rope.h"
#include "tests/error_text.h"
#include "tests/models/checkpoints/gguf_builder.h"
#include "tests/temporary_folder.h"

using csreft::open_checkpoint;
using csreft::rope_inverse_frequencies;
using csreft::Shape;
using csreft::Tensor;
using csreft::TokenizerVocabulary;

namespace {

constexpr std::uint32_t f32 = 0;

std::string refusal_to_open(const GgufBuilder& builder) {
  const TemporaryFolder folder;
  const auto path = folder.write("a.gguf", builder.bytes());
  return error_text([&] { return open_checkpoint(path); });
}

// Values 1000 * seed + (row, column) counted in row-major order, as f32 bytes.
std::string counting(std::size_t n, int seed) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(1000 * seed) + static_cast<float>(i);
  return bytes_of(values);
}

// hidden 8, 2 heads of 4, 1 key/value head, FFN 6, one layer.
void add_sizes(GgufBuilder& builder) {
  builder.text("general.architecture", "llama");
  builder.number("llama.block_count", 1U);
  builder.number("llama.context_length", 16U);
  builder.number("llama.embedding_length", 8U);
  builder.number("llama.feed_forward_length", 6U);
  builder.number("llama.attention.head_count", 2U);
  builder.number("llama.attention.head_count_kv", 1U);
  builder.number("llama.attention.layer_norm_rms_epsilon", 1e-6F);
  builder.number("llama.rope.freq_base", 500.0F);
}

// The sizes, and a vocabulary of 5.
void add_keys(GgufBuilder& builder) {
  add_sizes(builder);
  builder.text("tokenizer.ggml.model", "gpt2");
  builder.text("tokenizer.ggml.pre", "smollm");
  builder.texts("tokenizer.ggml.tokens", {"<s>", "</s>", "a", "b", "ab"});
  builder.texts("tokenizer.ggml.merges", {"a b"});
  builder.number("tokenizer.ggml.bos_token_id", 0U);
  builder.number("tokenizer.ggml.eos_token_id", 1U);
  builder.number("tokenizer.ggml.eot_token_id", 3U);
  builder.text("tokenizer.chat_template", "{{ messages }}");
}

// All F32.
void add_tensors(GgufBuilder& builder) {
  builder.tensor("token_embd.weight", {8, 5}, f32, counting(40, 0));
  builder.tensor("blk.0.attn_norm.weight", {8}, f32, counting(8, 1));
  builder.tensor("blk.0.attn_q.weight", {8, 8}, f32, counting(64, 2));
  builder.tensor("blk.0.attn_k.weight", {8, 4}, f32, counting(32, 3));
  builder.tensor("blk.0.attn_v.weight", {8, 4}, f32, counting(32, 4));
  builder.tensor("blk.0.attn_output.weight", {8, 8}, f32, counting(64, 5));
  builder.tensor("blk.0.ffn_norm.weight", {8}, f32, counting(8, 6));
  builder.tensor("blk.0.ffn_gate.weight", {8, 6}, f32, counting(48, 7));
  builder.tensor("blk.0.ffn_up.weight", {8, 6}, f32, counting(48, 8));
  builder.tensor("blk.0.ffn_down.weight", {6, 8}, f32, counting(48, 9));
  builder.tensor("output_norm.weight", {8}, f32, counting(8, 10));
}

GgufBuilder tiny_model() {
  GgufBuilder builder;
  add_keys(builder);
  add_tensors(builder);
  return builder;
}

}  // namespace

TEST_CASE("a model is read with its config, vocabulary and template") {
  const TemporaryFolder folder;
  const auto checkpoint = open_checkpoint(folder.write("tiny.gguf", tiny_model().bytes()));
  CHECK(checkpoint.name == "tiny.gguf");
  CHECK(checkpoint.chat_template == "{{ messages }}");
  const auto& config = checkpoint.config;
  CHECK(config.vocab_size == 5);
  CHECK(config.hidden_size == 8);
  CHECK(config.intermediate_size == 6);
  CHECK(config.n_layers == 1);
  CHECK(config.n_heads == 2);
  CHECK(config.n_kv_heads == 1);
  CHECK(config.head_dim == 4);
  CHECK(config.max_position_embeddings == 16);
  CHECK(config.rms_norm_eps == static_cast<double>(1e-6F));
  CHECK(config.rope_theta == 500);
  CHECK(config.tie_word_embeddings);
  CHECK(config.bos_token_id == 0);
  CHECK(config.eos_token_ids == std::vector<std::int32_t>{1, 3});
  const auto& vocabulary = std::get<TokenizerVocabulary>(checkpoint.tokenizer);
  CHECK(vocabulary.model == "gpt2");
  CHECK(vocabulary.pre == "smollm");
  CHECK(vocabulary.tokens.back() == "ab");
  CHECK(vocabulary.merges == std::vector<std::string>{"a b"});
  CHECK_FALSE(vocabulary.add_bos.has_value());
}

TEST_CASE("rows of q and k leave the interleaved order, the others stay") {
  const TemporaryFolder folder;
  const auto checkpoint = open_checkpoint(folder.write("tiny.gguf", tiny_model().bytes()));
  const auto first_column = [&](const std::string& name) {
    const Tensor t = checkpoint.tensor("model.layers.0." + name + ".weight");
    std::vector<float> column;
    for (std::int64_t row = 0; row < t.rows(); ++row) column.push_back(t.data<float>()[row * t.cols()]);
    return column;
  };
  // Head by head, the even rows, then the odd ones.
  CHECK(first_column("self_attn.q_proj") == std::vector<float>{2000, 2016, 2008, 2024, 2032, 2048, 2040, 2056});
  CHECK(first_column("self_attn.k_proj") == std::vector<float>{3000, 3016, 3008, 3024});
  CHECK(first_column("self_attn.v_proj") == std::vector<float>{4000, 4008, 4016, 4024});
  CHECK(checkpoint.tensor("model.layers.0.mlp.up_proj.weight").data<float>()[0] == 8000);
  CHECK(checkpoint.tensor("model.layers.0.mlp.down_proj.weight").shape() == Shape{8, 6});
  CHECK(checkpoint.tensor("model.norm.weight").data<float>()[0] == 10000);
}

TEST_CASE("an output matrix unties the head, rope_freqs.weight scales the rotation") {
  auto builder = tiny_model();
  builder.tensor("output.weight", {8, 5}, f32, counting(40, 11));
  builder.tensor("rope_freqs.weight", {2}, f32, bytes_of(std::vector<float>{1, 8}));
  const TemporaryFolder folder;
  const auto checkpoint = open_checkpoint(folder.write("tiny.gguf", builder.bytes()));
  CHECK_FALSE(checkpoint.config.tie_word_embeddings);
  CHECK(checkpoint.tensor("lm_head.weight").data<float>()[0] == 11000);
  const auto frequencies = rope_inverse_frequencies(checkpoint.config);
  CHECK(frequencies[0] == 1);
  CHECK(frequencies[1] == doctest::Approx(1 / std::sqrt(500.0) / 8).epsilon(1e-14));
}

TEST_CASE("a model that is not a plain Llama is refused") {
  const auto with = [](const auto& change) {
    GgufBuilder builder;
    change(builder);
    add_keys(builder);
    add_tensors(builder);
    return refusal_to_open(builder);
  };
  CHECK(with([](GgufBuilder&) {}).empty());
  CHECK(contains(with([](GgufBuilder& b) { b.number("llama.expert_count", 8U); }), "mixture of experts"));
  CHECK(contains(with([](GgufBuilder& b) { b.text("llama.rope.scaling.type", "longrope"); }),
                 "is longrope: expected none"));
  CHECK(contains(with([](GgufBuilder& b) { b.number("llama.rope.scaling.factor", -2.0F); }), "factor is -2"));
  CHECK(contains(with([](GgufBuilder& b) { b.number("llama.rope.dimension_count", 2U); }), "turns 2 of 4 dimensions"));
  CHECK(contains(with([](GgufBuilder& b) { b.number("llama.vocab_size", 6U); }), "5 tokens: llama.vocab_size says 6"));
  CHECK(contains(with([](GgufBuilder& b) { b.number("llama.attention.key_length", -1.0F); }), "expected an integer"));
  CHECK(contains(with([](GgufBuilder& b) { b.tensor("blk.0.attn_q.bias", {8}, f32, counting(8, 0)); }),
                 "tensor model.layers.0.self_attn.k_proj.bias is missing"));

  GgufBuilder other;
  other.text("general.architecture", "gpt2");
  CHECK(
      contains(refusal_to_open(other), "general.architecture is gpt2: expected a model of the families llama, qwen2"));
  CHECK(contains(refusal_to_open(GgufBuilder{}), "`general.architecture` is missing"));
  GgufBuilder no_tensors;
  add_keys(no_tensors);
  CHECK(contains(refusal_to_open(no_tensors), "tensor model.embed_tokens.weight is missing"));
}

TEST_CASE("a vocabulary that does not fit the model is refused") {
  auto builder = tiny_model();
  const auto swap_in = [&](const std::string& from, const std::string& to) {
    auto changed = builder;
    const auto at = changed.keys.find(from);
    REQUIRE(at != std::string::npos);
    changed.keys.replace(at, from.size(), to);
    return refusal_to_open(changed);
  };
  const auto first_of_five = bytes_of(std::uint64_t{5}) + gguf_string("<s>");
  CHECK(contains(swap_in(first_of_five + gguf_string("</s>"), bytes_of(std::uint64_t{4}) + gguf_string("<s>")),
                 "tensor model.embed_tokens.weight has shape [5, 8]: the config wants [4, 8]"));
  CHECK(contains(swap_in("tokenizer.ggml.tokens", "tokenizer.ggml.tokenz"), "tokenizer.ggml.tokens is missing"));
  builder.key("tokenizer.ggml.scores", 9,
              bytes_of(std::uint32_t{6}) + bytes_of(std::uint64_t{2}) + bytes_of(std::vector<float>{0, 1}));
  CHECK(contains(refusal_to_open(builder), "5 tokens with 2 scores and 0 types"));
}

TEST_CASE("a mark's id that the vocabulary lacks is passed over, with a note that has the file's own key") {
  auto builder = tiny_model();
  builder.number("tokenizer.ggml.eom_token_id", 99'999U);
  const TemporaryFolder folder;
  const auto checkpoint = open_checkpoint(folder.write("tiny.gguf", builder.bytes()));
  CHECK(checkpoint.config.eos_token_ids == std::vector<std::int32_t>{1, 3});
  const auto file = (folder / "tiny.gguf").string();
  CHECK(checkpoint.notes ==
        std::vector<std::string>{file + ": tokenizer.ggml.eom_token_id 99999 is passed over: the model has 5 tokens"});
}

TEST_CASE("a SentencePiece vocabulary without scores, types and marks has llama.cpp's") {
  GgufBuilder builder;
  add_sizes(builder);
  builder.text("tokenizer.ggml.model", "llama");
  builder.texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a", "<0x62>"});
  add_tensors(builder);
  const TemporaryFolder folder;
  const auto checkpoint = open_checkpoint(folder.write("tiny.gguf", builder.bytes()));
  CHECK(checkpoint.config.bos_token_id == 1);
  CHECK(checkpoint.config.eos_token_ids == std::vector<std::int32_t>{2});
  const auto tokenizer = csreft::load_tokenizer(checkpoint);
  using Ids = std::vector<std::int32_t>;
  CHECK(tokenizer.adds_bos());
  CHECK(tokenizer.encode("<s>ab</s>") == Ids{1, 0, 0, 0, 3, 4, 2});  // the space in front has three bytes
  CHECK(tokenizer.decode(Ids{1, 3, 4, 2}) == "ab");
}

TEST_CASE("of tokens with the same text the last is found, as llama.cpp's table has it, and each has its text") {
  using Ids = std::vector<std::int32_t>;
  for (const bool scored : {true, false}) {
    CAPTURE(scored);
    GgufBuilder builder;
    add_sizes(builder);
    builder.text("tokenizer.ggml.model", scored ? "llama" : "gpt2");
    builder.texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a", "a"});
    builder.number("tokenizer.ggml.bos_token_id", 1U);
    if (scored) builder.key("tokenizer.ggml.add_space_prefix", 7, std::string(1, '\0'));
    add_tensors(builder);
    const TemporaryFolder folder;
    const auto tokenizer = csreft::load_tokenizer(open_checkpoint(folder.write("tiny.gguf", builder.bytes())));
    CHECK(tokenizer.encode("a") == Ids{4});
    CHECK(tokenizer.decode(Ids{3, 4}) == "aa");
  }
}
