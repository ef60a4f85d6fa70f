#include "models/checkpoints/gguf.h"

#include <cmath>

#include <doctest/doctest.h>

#include "models/checkpoints/open_checkpoint.h"
#include "tests/error_text.h"
#include "tests/models/checkpoints/gguf_builder.h"
#include "tests/temporary_folder.h"

using csreft::dequantize;
using csreft::ggml_type_name;
using csreft::GgmlType;
using csreft::open_checkpoint;
using csreft::read_gguf;
using csreft::rope_inverse_frequencies;
using csreft::Shape;
using csreft::Tensor;
using csreft::TokenizerVocabulary;

namespace {

constexpr std::uint32_t f32 = 0, q8_0 = 8;

std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("a.gguf", bytes);
  const auto text = error_text([&] { return read_gguf(path); });
  CHECK((text.empty() || text.starts_with(path.string())));
  return text;
}

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

// hidden 8, 2 heads of 4, 1 key/value head, FFN 6, vocabulary 5, one layer, all F32.
void add_keys(GgufBuilder& builder) {
  builder.text("general.architecture", "llama");
  builder.number("llama.block_count", 1U);
  builder.number("llama.context_length", 16U);
  builder.number("llama.embedding_length", 8U);
  builder.number("llama.feed_forward_length", 6U);
  builder.number("llama.attention.head_count", 2U);
  builder.number("llama.attention.head_count_kv", 1U);
  builder.number("llama.attention.layer_norm_rms_epsilon", 1e-6F);
  builder.number("llama.rope.freq_base", 500.0F);
  builder.text("tokenizer.ggml.model", "gpt2");
  builder.text("tokenizer.ggml.pre", "smollm");
  builder.texts("tokenizer.ggml.tokens", {"<s>", "</s>", "a", "b", "ab"});
  builder.texts("tokenizer.ggml.merges", {"a b"});
  builder.number("tokenizer.ggml.bos_token_id", 0U);
  builder.number("tokenizer.ggml.eos_token_id", 1U);
  builder.number("tokenizer.ggml.eot_token_id", 3U);
  builder.text("tokenizer.chat_template", "{{ messages }}");
}

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

// A file that holds this one tensor.
std::string one_tensor(const std::vector<std::uint64_t>& extents, std::uint32_t type, std::uint64_t offset,
                       std::size_t data_bytes) {
  GgufBuilder builder;
  builder.info("w", extents, type, offset);
  builder.data = std::string(data_bytes, '\0');
  return builder.bytes();
}

struct Encoded {
  std::string name;
  GgmlType type;
  std::string blocks;
  std::string values;
};

}  // namespace

// Random numbers quantised by the `gguf` Python package, and the floats that it makes of them: equal to the bit.
TEST_CASE("every block type decodes to the bits of the reference") {
  const std::vector<Encoded> encoded{
      {"F16", GgmlType::f16, "55352a80007c0080", "00a0aa3e000028b60000807f00000080"},
      {"BF16", GgmlType::bf16, "ab3e28b674490080", "0000ab3e000028b60000744900000080"},
      {"Q4_0", GgmlType::q4_0, "8034b996294bb2a96c87a5abb99b8773c806",
       "0000903e000010bf0000903e0000583f0000d8bf0000903e0000903f000090be000058bf0000583f0000903e0000583f"
       "000090be0000b4bf00000000000010bf0000583f0000903e0000d8bf000090bf0000583f0000103f000010bf00000000"
       "0000103f0000103f0000583f0000903e00000000000090be0000903f000010c0"},
      {"Q4_1", GgmlType::q4_1, "5935efc077a77378559a4799cb390593fd474598",
       "004002be004002be0068bbbf0000543e00b04bbf0020603f004002be00900a3f00d89a3f00900a3f00b04bbf0068bbbf"
       "0068f03f004002be00b04bbf0000543e004002be0020603f004002be004002be00b04bbf00900a3f00a090bf00900a3f"
       "00a0c53f0068bbbf00e01dc000900a3f00fc224000a090bf00a090bf00900a3f"},
      {"Q5_0", GgmlType::q5_0, "473028e459a84adced342d726fca8e99d0c8781b0000",
       "00504dbf00e008bf0050cdbe00e0083f0050cdbe00e0883e00e008be00504dbf00e088be00886fbf0000000000e088bf"
       "00e088bf0034bc3f000000000000000000e0083f0050cdbe00e088be0050cd3e00e0883e00fc99bf00504d3f00e008bf"
       "00e088bf00886fbf0050cdbe0050cd3f00fc99bf00e0083e00e008c000000000"},
      {"Q5_1", GgmlType::q5_1, "b030afbe71808c81723a074df0d059fd174b6bcc1bdd8041",
       "0040773f000053be004025bf00006f3e00402c3f00402c3f00e0fe3f00006f3e004025bf000074bd000074bd0000b23d"
       "000074bd00006f3e00e0d5bf00c0513f004025bf00a09dbf00402c3f0020a13f00c0063f00006f3e004070bf00b03740"
       "00c0513f00e08abf00c04abf0000b23d0020c3bf00006f3e0080ffbe0020a13f"},
      {"Q8_0", GgmlType::q8_0, "77252d8102b434081ace565fce11e0ffc557d3f217e2f5e6fac9ebf6f003f223f1fa",
       "00eb753f40822dc000e02e3d00aacfbf00168e3f00e02e3e00160e3f009f88bf00fdea3f40ca0140009f88bf00ceb93e"
       "00e02ebf00e0aebc8036a1bf80b8ed3f00eb75bf000499be0062fb3e00f223bf007470be00160ebf002803be804896bf"
       "0086e5be00985abe00e0aebe0028833d000499be00453f3f00f2a3be002803be"},
  };
  for (const auto& [name, type, blocks, values] : encoded) {
    CAPTURE(name);
    std::vector<float> decoded(values.size() / 8);
    const auto stored = from_hex(blocks);
    dequantize(type, std::as_bytes(std::span(stored)), decoded.data());
    CHECK(bytes_of(decoded) == from_hex(values));
    CHECK(ggml_type_name(static_cast<std::uint32_t>(type)) == name);
  }
}

TEST_CASE("metadata of every value type is read") {
  GgufBuilder builder;
  builder.version = 2;
  builder.key("u8", 0, bytes_of(std::uint8_t{200}));
  builder.key("i8", 1, bytes_of(std::int8_t{-100}));
  builder.key("u16", 2, bytes_of(std::uint16_t{60000}));
  builder.key("i16", 3, bytes_of(std::int16_t{-30000}));
  builder.key("u32", 4, bytes_of(std::uint32_t{4'000'000'000}));
  builder.key("i32", 5, bytes_of(std::int32_t{-2'000'000'000}));
  builder.key("f32", 6, bytes_of(0.5F));
  builder.key("bool", 7, bytes_of(std::uint8_t{1}));
  builder.text("string", "text");
  const auto one_i8 = bytes_of(std::uint32_t{1}) + bytes_of(std::uint64_t{1}) + bytes_of(std::int8_t{-1});
  builder.key("nested", 9, bytes_of(std::uint32_t{9}) + bytes_of(std::uint64_t{2}) + one_i8 + one_i8);
  builder.key("u64", 10, bytes_of(std::uint64_t{1} << 63));
  builder.key("i64", 11, bytes_of(std::int64_t{-1} << 62));
  builder.key("f64", 12, bytes_of(0.25));
  const TemporaryFolder folder;
  const auto gguf = read_gguf(folder.write("a.gguf", builder.bytes()));
  CHECK(gguf.metadata == nlohmann::json{{"u8", 200},
                                        {"i8", -100},
                                        {"u16", 60000},
                                        {"i16", -30000},
                                        {"u32", 4'000'000'000},
                                        {"i32", -2'000'000'000},
                                        {"f32", 0.5},
                                        {"bool", true},
                                        {"string", "text"},
                                        {"nested", {{-1}, {-1}}},
                                        {"u64", std::uint64_t{1} << 63},
                                        {"i64", std::int64_t{-1} << 62},
                                        {"f64", 0.25}});
}

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

TEST_CASE("quantised matrices are decoded row by row") {
  GgufBuilder builder;
  // Two rows of two Q8_0 blocks: scale 0.5, every integer of a block the same.
  std::string blocks;
  for (const char value : {'\x02', '\x04', '\x06', '\x08'}) blocks += from_hex("0038") + std::string(32, value);
  builder.tensor("w", {64, 2}, q8_0, blocks);
  const TemporaryFolder folder;
  const auto gguf = read_gguf(folder.write("a.gguf", builder.bytes()));
  const auto& w = gguf.tensors.at("w");
  CHECK(w.shape == Shape{2, 64});
  std::vector<float> values(128);
  dequantize(w.type, w.blocks, values.data());
  CHECK(values[0] == 1);
  CHECK(values[63] == 2);
  CHECK(values[64] == 3);
  CHECK(values[127] == 4);
}

TEST_CASE("general.alignment moves the data") {
  GgufBuilder builder;
  builder.alignment = 128;
  builder.number("general.alignment", 128U);
  builder.tensor("a", {1}, f32, bytes_of(1.0F));
  builder.tensor("b", {1}, f32, bytes_of(2.0F));
  const TemporaryFolder folder;
  const auto gguf = read_gguf(folder.write("a.gguf", builder.bytes()));
  float b = 0;
  dequantize(GgmlType::f32, gguf.tensors.at("b").blocks, &b);
  CHECK(b == 2);
  builder.keys.clear();
  builder.n_keys = 0;
  builder.number("general.alignment", 48U);
  CHECK(contains(refusal(builder.bytes()), "general.alignment is 48: expected a power of two"));
}

TEST_CASE("another kind of file is refused") {
  auto builder = tiny_model();
  CHECK(contains(refusal("GGML" + builder.bytes().substr(4)), "is no GGUF file"));
  builder.version = 1;
  CHECK(contains(refusal(builder.bytes()), "GGUF version 1: expected 2 or 3"));
  builder.version = 3U << 24;
  CHECK(contains(refusal(builder.bytes()), "big endian"));
}

TEST_CASE("a file cut at any byte is refused") {
  const auto bytes = tiny_model().bytes();
  const TemporaryFolder folder;
  const auto path = folder / "a.gguf";
  folder.write("a.gguf", bytes);
  REQUIRE(error_text([&] { return read_gguf(path); }).empty());
  for (std::size_t size = bytes.size(); size-- > 0;) {
    CAPTURE(size);
    std::filesystem::resize_file(path, size);
    CHECK(!error_text([&] { return read_gguf(path); }).empty());
  }
}

TEST_CASE("lengths and counts beyond the file are refused") {
  const auto absurd = ~std::uint64_t{0};
  GgufBuilder long_string;
  long_string.key("k", 8, bytes_of(absurd) + "text");
  CHECK(contains(refusal(long_string.bytes()), "truncated or corrupt: 18446744073709551615 bytes wanted"));
  GgufBuilder long_array;
  long_array.key("k", 9, bytes_of(std::uint32_t{4}) + bytes_of(absurd));
  CHECK(contains(refusal(long_array.bytes()), "an array of 18446744073709551615 elements"));
  long_array = {};
  long_array.key("k", 9, bytes_of(std::uint32_t{4}) + bytes_of(std::uint64_t{1'000'000}));
  CHECK(contains(refusal(long_array.bytes()), "truncated or corrupt"));
  GgufBuilder many;
  many.n_keys = absurd;
  CHECK(contains(refusal(many.bytes()), "truncated or corrupt"));
  many = {};
  many.n_tensors = absurd;
  CHECK(contains(refusal(many.bytes()), "truncated or corrupt"));
  GgufBuilder unknown;
  unknown.key("k", 13, "");
  CHECK(contains(refusal(unknown.bytes()), "value type 13"));
  GgufBuilder deep;
  std::string value;
  for (int i = 0; i < 9; ++i) value += bytes_of(std::uint32_t{9}) + bytes_of(std::uint64_t{1});
  deep.key("k", 9, value);
  CHECK(contains(refusal(deep.bytes()), "nested more than 4 deep"));
  GgufBuilder twice;
  twice.number("k", 1U);
  twice.number("k", 1U);
  CHECK(contains(refusal(twice.bytes()), "key k appears twice"));
}

TEST_CASE("a tensor that does not fit its file is refused by name") {
  CHECK(refusal(one_tensor({8}, f32, 0, 32)).empty());
  CHECK(contains(refusal(one_tensor({256}, 12, 0, 144)), "tensor w is of type Q4_K (12): expected F32, F16, BF16"));
  CHECK(contains(refusal(one_tensor({256}, 99, 0, 144)), "tensor w is of type unknown (99)"));
  CHECK(contains(refusal(one_tensor({8}, f32, 32, 32)), "tensor w ends outside the file"));
  CHECK(contains(refusal(one_tensor({8}, f32, ~std::uint64_t{31}, 32)), "tensor w ends outside the file"));
  CHECK(contains(refusal(one_tensor({8}, f32, 4, 64)), "tensor w starts at byte 4: expected a multiple of 32"));
  CHECK(contains(refusal(one_tensor({}, f32, 0, 32)), "tensor w has 0 axes"));
  CHECK(contains(refusal(one_tensor({1, 1, 1, 1, 1}, f32, 0, 32)), "tensor w has 5 axes"));
  CHECK(contains(refusal(one_tensor({0}, f32, 0, 32)), "tensor w: axis 0 has an absurd extent, 0"));
  CHECK(contains(refusal(one_tensor({1U << 30, 1U << 30}, f32, 0, 32)), "tensor w: axis 1 has an absurd extent"));
  CHECK(contains(refusal(one_tensor({48}, q8_0, 0, 64)), "rows of 48 elements are no whole blocks of 32"));

  GgufBuilder overlap;
  overlap.info("a", {16}, f32, 0);
  overlap.info("b", {8}, f32, 32);
  overlap.data = std::string(64, '\0');
  CHECK(contains(refusal(overlap.bytes()), "tensors a and b overlap"));
  GgufBuilder twice;
  twice.tensor("a", {8}, f32, counting(8, 0));
  twice.tensor("a", {8}, f32, counting(8, 0));
  CHECK(contains(refusal(twice.bytes()), "tensor a appears twice"));
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
  CHECK(contains(with([](GgufBuilder& b) { b.number("split.count", 2U); }), "one of several parts"));
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
  CHECK(contains(swap_in("eos_token_id" + bytes_of(std::uint32_t{4}) + bytes_of(std::uint32_t{1}),
                         "eos_token_id" + bytes_of(std::uint32_t{4}) + bytes_of(std::uint32_t{5})),
                 "eos_token_id is 5: expected less than the vocabulary's size 5"));
  CHECK(contains(swap_in("tokenizer.ggml.tokens", "tokenizer.ggml.tokenz"), "tokenizer.ggml.tokens is missing"));
  builder.key("tokenizer.ggml.scores", 9,
              bytes_of(std::uint32_t{6}) + bytes_of(std::uint64_t{2}) + bytes_of(std::vector<float>{0, 1}));
  CHECK(contains(refusal_to_open(builder), "5 tokens with 2 scores and 0 types"));
}
