#include "models/checkpoints/llama2c.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/memory_needs.h"
#include "tests/error_text.h"
#include "tests/little_endian.h"
#include "tests/temporary_folder.h"

using csreft::Checkpoint;
using csreft::open_checkpoint;
using csreft::Tensor;
using csreft::TokenizerFile;

namespace {

// hidden 8, FFN 6, 2 layers, 2 heads of 4, 1 key/value head, vocabulary 5, context 3.
struct Sizes {
  std::int32_t dim = 8, hidden_dim = 6, n_layers = 2, n_heads = 2, n_kv_heads = 1, vocab_size = 5, seq_len = 3;
};

std::string header_v0(const Sizes& sizes = {}) { return bytes_of(sizes); }

std::string header_v1(std::int32_t version, bool shared) {
  std::string header = bytes_of(std::uint32_t{0x616b3432}) + bytes_of(version) + bytes_of(Sizes{});
  header += shared ? '\x01' : '\0';
  header.resize(256);
  return header;
}

// Floats that count from 0, so that a value tells its place in the file.
std::string counting(std::size_t n) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i);
  return bytes_of(values);
}

constexpr std::size_t embedding = 5 * 8, norms = 2 * 8, q = 2 * 8 * 8, k = 2 * 4 * 8, ffn = 2 * 6 * 8, rotation = 3 * 4;
constexpr std::size_t shared_weights = embedding + 2 * norms + 2 * q + 2 * k + 3 * ffn + 8;

Checkpoint open_bytes(const TemporaryFolder& folder, const std::string& bytes) {
  return open_checkpoint(folder.write("model.bin", bytes));
}

std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  return error_text([&] { return open_bytes(folder, bytes); });
}

std::size_t first(const Checkpoint& checkpoint, const std::string& name) {
  return static_cast<std::size_t>(checkpoint.tensor(name).data<float>()[0]);
}

}  // namespace

TEST_CASE("version 0 is read with its sizes and llama2.c's constants") {
  const TemporaryFolder folder;
  const auto checkpoint = open_bytes(folder, header_v0() + counting(shared_weights + rotation));
  const auto& config = checkpoint.config;
  CHECK(checkpoint.name == "model.bin");
  CHECK(checkpoint.chat_template.empty());
  CHECK(config.hidden_size == 8);
  CHECK(config.intermediate_size == 6);
  CHECK(config.n_layers == 2);
  CHECK(config.n_heads == 2);
  CHECK(config.n_kv_heads == 1);
  CHECK(config.head_dim == 4);
  CHECK(config.vocab_size == 5);
  CHECK(config.max_position_embeddings == 3);
  CHECK(config.rms_norm_eps == 1e-5);
  CHECK(config.rope_theta == 10'000);
  CHECK(config.tie_word_embeddings);
  CHECK(config.eos_token_ids == std::vector<std::int32_t>{2, 1});
}

TEST_CASE("version 0 stores embedding, attention, feed-forward, norm, rotation, head") {
  const TemporaryFolder folder;
  Sizes untied;
  untied.vocab_size = -5;
  const auto checkpoint = open_bytes(folder, header_v0(untied) + counting(shared_weights + rotation + embedding));
  CHECK_FALSE(checkpoint.config.tie_word_embeddings);
  CHECK(checkpoint.config.vocab_size == 5);
  std::size_t at = embedding;
  CHECK(first(checkpoint, "model.embed_tokens.weight") == 0);
  CHECK(first(checkpoint, "model.layers.0.input_layernorm.weight") == at);
  CHECK(first(checkpoint, "model.layers.1.input_layernorm.weight") == at + 8);
  CHECK(first(checkpoint, "model.layers.0.self_attn.q_proj.weight") == (at += norms));
  CHECK(first(checkpoint, "model.layers.1.self_attn.q_proj.weight") == at + q / 2);
  CHECK(first(checkpoint, "model.layers.0.self_attn.k_proj.weight") == (at += q));
  CHECK(first(checkpoint, "model.layers.0.self_attn.v_proj.weight") == (at += k));
  CHECK(first(checkpoint, "model.layers.0.self_attn.o_proj.weight") == (at += k));
  CHECK(first(checkpoint, "model.layers.0.post_attention_layernorm.weight") == (at += q));
  CHECK(first(checkpoint, "model.layers.0.mlp.gate_proj.weight") == (at += norms));
  CHECK(first(checkpoint, "model.layers.0.mlp.down_proj.weight") == (at += ffn));
  CHECK(first(checkpoint, "model.layers.0.mlp.up_proj.weight") == (at += ffn));
  CHECK(first(checkpoint, "model.norm.weight") == (at += ffn));
  CHECK(first(checkpoint, "lm_head.weight") == at + 8 + rotation);
}

TEST_CASE("version 1 stores the norms first") {
  for (const bool shared : {true, false}) {
    CAPTURE(shared);
    const TemporaryFolder folder;
    const auto checkpoint =
        open_bytes(folder, header_v1(1, shared) + counting(shared_weights + (shared ? 0 : embedding)));
    CHECK(checkpoint.config.tie_word_embeddings == shared);
    std::size_t at = 0;
    CHECK(first(checkpoint, "model.layers.0.input_layernorm.weight") == at);
    CHECK(first(checkpoint, "model.layers.0.post_attention_layernorm.weight") == (at += norms));
    CHECK(first(checkpoint, "model.norm.weight") == (at += norms));
    CHECK(first(checkpoint, "model.embed_tokens.weight") == (at += 8));
    CHECK(first(checkpoint, "model.layers.0.self_attn.q_proj.weight") == (at += embedding));
    CHECK(first(checkpoint, "model.layers.0.self_attn.k_proj.weight") == (at += q));
    CHECK(first(checkpoint, "model.layers.0.self_attn.v_proj.weight") == (at += k));
    CHECK(first(checkpoint, "model.layers.0.self_attn.o_proj.weight") == (at += k));
    CHECK(first(checkpoint, "model.layers.0.mlp.gate_proj.weight") == (at += q));
    CHECK(first(checkpoint, "model.layers.0.mlp.down_proj.weight") == (at += ffn));
    CHECK(first(checkpoint, "model.layers.0.mlp.up_proj.weight") == (at += ffn));
    if (!shared) CHECK(first(checkpoint, "lm_head.weight") == at + ffn);
  }
}

// Elements 0, 1, 2, ... modulo 100 as int8, then the scales 1, 2, 3, ... of groups of four.
std::string quantised(std::size_t n) {
  std::string bytes;
  for (std::size_t i = 0; i < n; ++i) bytes += static_cast<char>(i % 100);
  for (std::size_t group = 1; group <= n / 4; ++group) bytes += bytes_of(static_cast<float>(group));
  return bytes;
}

std::string version_2(std::int32_t group_size) {
  auto header = header_v1(2, false);
  header.replace(37, 4, bytes_of(group_size));
  std::string body = counting(2 * norms + 8) + quantised(embedding);
  for (const auto layer : {q / 2, k / 2, k / 2, q / 2, ffn / 2, ffn / 2, ffn / 2}) {
    for (int n = 0; n < 2; ++n) body += quantised(layer);
  }
  return header + body + quantised(embedding);
}

TEST_CASE("version 2 stores matrices as int8 with a scale for every group") {
  const TemporaryFolder folder;
  const auto checkpoint = open_bytes(folder, version_2(4));
  CHECK(first(checkpoint, "model.layers.1.input_layernorm.weight") == 8);
  CHECK(first(checkpoint, "model.norm.weight") == 2 * norms);
  // Rows of six: the second group lies in both of the first two.
  const Tensor down = checkpoint.tensor("model.layers.1.mlp.down_proj.weight");
  CHECK(std::vector<float>(down.data<float>(), down.data<float>() + 12) ==
        std::vector<float>{0, 1, 2, 3, 4 * 2, 5 * 2, 6 * 2, 7 * 2, 8 * 3, 9 * 3, 10 * 3, 11 * 3});
  // Row 1 of q is row 2 of the file.
  CHECK(checkpoint.tensor("model.layers.0.self_attn.q_proj.weight").data<float>()[8] == 16 * 5);
  CHECK(checkpoint.tensor("lm_head.weight").data<float>()[39] == 39 * 10);
}

TEST_CASE("matrices in int8 stay so where their rows are whole groups") {
  const TemporaryFolder folder;
  const auto checkpoint = open_bytes(folder, version_2(4));
  // All but down, whose rows have six elements: an element each, and a scale for four.
  std::int64_t in_int8 = 2 * (2 * embedding + 2 * q + 2 * k + 2 * ffn), copied = 0;
  for (const auto& [name, bytes] : checkpoint.stored_bytes) copied += bytes;
  CHECK(copied == in_int8);
  CHECK(checkpoint.copied_bytes == in_int8 + static_cast<std::int64_t>(sizeof(float) * ffn));
  CHECK_FALSE(checkpoint.stored("model.layers.0.mlp.down_proj.weight").has_value());
  CHECK_FALSE(checkpoint.stored("model.norm.weight").has_value());
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight", "model.layers.1.self_attn.q_proj.weight",
                           "model.layers.0.self_attn.k_proj.weight", "model.layers.1.self_attn.v_proj.weight",
                           "model.layers.0.mlp.gate_proj.weight"}) {
    CAPTURE(name);
    const auto stored = checkpoint.stored(name);
    REQUIRE(stored.has_value());
    const Tensor values = checkpoint.tensor(name), decoded = stored->decoded();
    CHECK(std::ranges::equal(decoded.span<float>(), values.span<float>()));
  }
}

// A sparse file: 8 layers of hidden 2048 and FFN 8192, vocabulary 2048.
TEST_CASE("a model too large for copies in f32 needs what is copied: in int8 itself, of floats q and k") {
  constexpr std::int64_t d = 2048, f = 8192, layers = 8;
  constexpr std::int64_t matrices = d * d + layers * (4 * d * d + 3 * d * f), norms_of_all = (2 * layers + 1) * d;
  const Sizes sizes{d, f, layers, 16, 16, d, 3};
  const TemporaryFolder folder;
  const auto needs = [&](std::int32_t version, std::int64_t bytes) {
    auto header = bytes_of(std::uint32_t{0x616b3432}) + bytes_of(version) + bytes_of(sizes) + '\x01';
    if (version == 2) header += bytes_of(std::int32_t{64});
    const auto path = folder.write("model.bin", header);
    std::filesystem::resize_file(path, static_cast<std::uintmax_t>(256 + bytes));
    return csreft::weight_bytes(open_checkpoint(path), csreft::Weights::frozen);
  };
  CHECK(needs(1, 4 * (matrices + norms_of_all)) == 4 * layers * 2 * d * d);
  CHECK(needs(2, matrices / 64 * 68 + 4 * norms_of_all) == matrices / 64 * 68);
}

TEST_CASE("rows of q and k leave Meta's order, those of v stay") {
  const TemporaryFolder folder;
  const auto checkpoint = open_bytes(folder, header_v0() + counting(shared_weights + rotation));
  const auto rows = [&](const std::string& name) {
    const Tensor t = checkpoint.tensor("model.layers.0.self_attn." + name + ".weight");
    std::vector<float> offsets;
    for (std::int64_t row = 0; row < t.rows(); ++row) {
      offsets.push_back((t.data<float>()[row * 8] - *std::min_element(t.span<float>().begin(), t.span<float>().end())) /
                        8);
    }
    return offsets;
  };
  CHECK(rows("q_proj") == std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7});
  CHECK(rows("k_proj") == std::vector<float>{0, 2, 1, 3});
  CHECK(rows("v_proj") == std::vector<float>{0, 1, 2, 3});
}

TEST_CASE("the tokenizer is the file beside the model") {
  const TemporaryFolder folder;
  const auto bytes = header_v0() + counting(shared_weights + rotation);
  const auto tokenizer = [&] { return std::get<TokenizerFile>(open_bytes(folder, bytes).tokenizer).path; };
  CHECK(tokenizer() == folder / "tokenizer.bin");
  folder.write("tokenizer.model", "x");
  CHECK(tokenizer() == folder / "tokenizer.model");
  folder.write("tok5.model", "x");
  CHECK(tokenizer() == folder / "tok5.model");
  folder.write("tokenizer.bin", "x");
  CHECK(tokenizer() == folder / "tokenizer.bin");
  folder.write("tok6.bin", "x");
  CHECK(tokenizer() == folder / "tokenizer.bin");
  folder.write("tok5.bin", "x");
  CHECK(tokenizer() == folder / "tok5.bin");
}

TEST_CASE("a file whose size is not what its header demands is refused") {
  const auto whole = header_v0() + counting(shared_weights + rotation);
  CHECK(refusal(whole).empty());
  CHECK(contains(refusal(whole.substr(0, whole.size() - 1)), "truncated or corrupt"));
  CHECK(contains(refusal(whole.substr(0, 28)), "truncated or corrupt"));
  CHECK(contains(refusal(whole.substr(0, 27)), "truncated: 27 bytes"));
  CHECK(contains(refusal(whole + "1234"), "its header demands"));
  CHECK(contains(refusal(header_v1(1, true).substr(0, 255)), "expected a header of 256"));
  CHECK(contains(refusal(header_v1(1, true)), "truncated or corrupt"));
  const auto int8 = version_2(4);
  CHECK(refusal(int8).empty());
  CHECK(contains(refusal(int8.substr(0, int8.size() - 1)), "truncated or corrupt"));
  CHECK(contains(refusal(int8 + "1"), "its header demands"));
  CHECK(contains(refusal(version_2(0)), "groups of 0 elements share a scale"));
  CHECK(contains(refusal(version_2(3)), "the 40 elements of model.embed_tokens.weight are no whole groups of 3"));
}

TEST_CASE("a version or sizes that are none of llama2.c's float files are refused") {
  CHECK(contains(refusal(header_v1(7, true)), "llama2.c version 7: expected 0, 1 (float32) or 2 (int8)"));
  CHECK(contains(refusal("PK\3\4"), "is a PyTorch checkpoint: expected a llama2.c file, or a folder"));
  CHECK(contains(refusal("tjgg\3"), "a format that llama.cpp had before GGUF"));
  const auto with = [](const auto& change) {
    Sizes sizes;
    change(sizes);
    return refusal(header_v0(sizes) + counting(shared_weights + rotation));
  };
  CHECK(contains(with([](Sizes& s) { s.n_heads = 0; }), "0 attention heads do not divide the hidden size 8"));
  CHECK(contains(with([](Sizes& s) { s.n_heads = 3; }), "3 attention heads do not divide the hidden size 8"));
  CHECK(contains(with([](Sizes& s) { s.n_kv_heads = 3; }), "key/value heads is 3: expected 1 to 2"));
  CHECK(contains(with([](Sizes& s) { s.dim = -8; }), "the hidden size is -8"));
  CHECK(contains(with([](Sizes& s) { s.vocab_size = INT32_MIN; }), "the vocabulary's size is -2147483648"));
  CHECK(contains(with([](Sizes& s) { s.vocab_size = 1 << 20; }), "truncated or corrupt"));
}
