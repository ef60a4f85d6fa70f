#include "models/checkpoints/gguf.h"

#include "models/checkpoints/gguf_blocks.h"
#include "models/language_model.h"
#include "tests/fuzz/target.h"
#include "tests/models/checkpoints/gguf_builder.h"

namespace csreft {

namespace {

constexpr std::uint32_t f32 = 0, f16 = 1, q2_k = 10, q3_k = 11, q4_k = 12, q5_k = 13, q6_k = 14, iq4_xs = 23, bf16 = 30;

// One layer, 1 key/value head.
struct Sizes {
  std::uint32_t hidden, heads, head_dim, intermediate;
};

void add_sizes(const Sizes& sizes, GgufBuilder& builder) {
  builder.text("general.architecture", "llama");
  builder.number("llama.block_count", 1U);
  builder.number("llama.context_length", 16U);
  builder.number("llama.embedding_length", sizes.hidden);
  builder.number("llama.feed_forward_length", sizes.intermediate);
  builder.number("llama.attention.head_count", sizes.heads);
  builder.number("llama.attention.head_count_kv", 1U);
  builder.number("llama.attention.key_length", sizes.head_dim);
  builder.number("llama.attention.value_length", sizes.head_dim);
  builder.number("llama.attention.layer_norm_rms_epsilon", 1e-6F);
}

// Zeros: matrices of rows of `hidden` elements are of the types in turn, other matrices halves or bf16.
void add_tensors(const Sizes& sizes, bool is_tied, const std::vector<std::uint32_t>& types, GgufBuilder& builder) {
  std::size_t n_wide = 0;
  const auto add = [&](const std::string& name, std::vector<std::uint64_t> extents) {
    std::uint32_t type = f32;
    if (extents.size() == 2)
      type = extents[0] == sizes.hidden ? types[n_wide++ % types.size()] : types.size() > 1 ? f16 : f32;
    const auto block = find_ggml_format(type)->block;
    std::size_t elements = 1;
    for (const auto extent : extents) elements *= extent;
    const auto bytes = elements / static_cast<std::size_t>(block.elements) * static_cast<std::size_t>(block.bytes);
    builder.tensor(name, extents, type, std::string(bytes, '\0'));
  };
  const std::uint64_t hidden = sizes.hidden, q = sizes.heads * sizes.head_dim, kv = sizes.head_dim;
  add("token_embd.weight", {hidden, 5});
  add("output_norm.weight", {hidden});
  if (!is_tied) add("output.weight", {hidden, 5});
  add("blk.0.attn_norm.weight", {hidden});
  add("blk.0.ffn_norm.weight", {hidden});
  add("blk.0.attn_q.weight", {hidden, q});
  add("blk.0.attn_k.weight", {hidden, kv});
  add("blk.0.attn_v.weight", {hidden, kv});
  add("blk.0.attn_output.weight", {q, hidden});
  add("blk.0.ffn_gate.weight", {hidden, sizes.intermediate});
  add("blk.0.ffn_up.weight", {hidden, sizes.intermediate});
  add("blk.0.ffn_down.weight", {sizes.intermediate, hidden});
}

std::string byte_level(bool is_tied) {
  GgufBuilder builder;
  const Sizes sizes{8, 2, 4, 6};
  add_sizes(sizes, builder);
  builder.text("tokenizer.ggml.model", "gpt2");
  builder.text("tokenizer.ggml.pre", "smollm");
  builder.texts("tokenizer.ggml.tokens", {"<s>", "</s>", "a", "b", "ab"});
  builder.texts("tokenizer.ggml.merges", {"a b"});
  builder.number("tokenizer.ggml.bos_token_id", 0U);
  builder.number("tokenizer.ggml.eos_token_id", 1U);
  add_tensors(sizes, is_tied, {f32}, builder);
  return builder.bytes();
}

// Blocks of 256 elements, a SentencePiece vocabulary, YaRN.
std::string quantised() {
  GgufBuilder builder;
  const Sizes sizes{256, 1, 2, 1};
  add_sizes(sizes, builder);
  builder.text("llama.rope.scaling.type", "yarn");
  builder.number("llama.rope.scaling.factor", 4.0F);
  builder.number("llama.rope.scaling.original_context_length", 4U);
  builder.text("tokenizer.ggml.model", "llama");
  builder.texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "a", "<0x62>"});
  const auto list = [&](const char* name, std::uint32_t type, const auto& values) {
    builder.key(name, 9, bytes_of(type) + bytes_of(std::uint64_t{5}) + bytes_of(values));
  };
  list("tokenizer.ggml.scores", 6, std::vector<float>{0, 0, 0, -1, -2});
  list("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>{2, 3, 3, 1, 6});
  builder.number("tokenizer.ggml.eot_token_id", 2U);
  builder.text("tokenizer.chat_template", "{{ messages }}");
  add_tensors(sizes, false, {q4_k, q5_k, q6_k, q2_k, q3_k, iq4_xs, bf16}, builder);
  return builder.bytes();
}

std::vector<std::string> seeds() { return {byte_level(true), byte_level(false), quantised()}; }

void read(std::string_view input) {
  const auto checkpoint = open_gguf(fuzz_folder().write("input.gguf", input));
  for (const auto& [name, shape] : checkpoint.shapes) {
    static_cast<void>(checkpoint.tensor(name));
    if (const auto stored = checkpoint.stored(name)) static_cast<void>(stored->decoded());
  }
  const auto tokenizer = load_tokenizer(checkpoint);
  const auto ids = tokenizer.encode("ab a <s> \xC3\xA9\xF0\x9F\x98\x80 12");
  static_cast<void>(tokenizer.decode(ids));
}

}  // namespace

extern const FuzzTarget gguf_target;
const FuzzTarget gguf_target{"gguf", "a GGUF model: its table, tensors and tokenizer", seeds, read};

}  // namespace csreft
