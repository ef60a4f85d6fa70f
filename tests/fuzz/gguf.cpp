#include "models/checkpoints/gguf.h"

#include "models/language_model.h"
#include "tests/fuzz/target.h"
#include "tests/models/checkpoints/gguf_builder.h"

namespace csreft {

namespace {

std::string zeros(std::size_t n) { return std::string(4 * n, '\0'); }

// hidden 8, 2 heads of 4, 1 key/value head, FFN 6, vocabulary 5, one layer, all F32.
std::string model(const char* kind, bool is_tied) {
  GgufBuilder builder;
  builder.text("general.architecture", "llama");
  builder.number("llama.block_count", 1U);
  builder.number("llama.context_length", 16U);
  builder.number("llama.embedding_length", 8U);
  builder.number("llama.feed_forward_length", 6U);
  builder.number("llama.attention.head_count", 2U);
  builder.number("llama.attention.head_count_kv", 1U);
  builder.number("llama.attention.layer_norm_rms_epsilon", 1e-6F);
  builder.text("tokenizer.ggml.model", kind);
  builder.text("tokenizer.ggml.pre", "smollm");
  builder.texts("tokenizer.ggml.tokens", {"<s>", "</s>", "a", "b", "ab"});
  builder.texts("tokenizer.ggml.merges", {"a b"});
  builder.number("tokenizer.ggml.bos_token_id", 0U);
  builder.number("tokenizer.ggml.eos_token_id", 1U);
  const auto tensor = [&](const std::string& name, const std::vector<std::uint64_t>& extents) {
    std::size_t n = 1;
    for (const auto extent : extents) n *= extent;
    builder.tensor(name, extents, 0, zeros(n));
  };
  tensor("token_embd.weight", {8, 5});
  tensor("output_norm.weight", {8});
  if (!is_tied) tensor("output.weight", {8, 5});
  tensor("blk.0.attn_norm.weight", {8});
  tensor("blk.0.ffn_norm.weight", {8});
  tensor("blk.0.attn_q.weight", {8, 8});
  tensor("blk.0.attn_k.weight", {8, 4});
  tensor("blk.0.attn_v.weight", {8, 4});
  tensor("blk.0.attn_output.weight", {8, 8});
  tensor("blk.0.ffn_gate.weight", {8, 6});
  tensor("blk.0.ffn_up.weight", {8, 6});
  tensor("blk.0.ffn_down.weight", {6, 8});
  return builder.bytes();
}

std::vector<std::string> seeds() { return {model("gpt2", true), model("gpt2", false)}; }

void read(std::string_view input) {
  const auto checkpoint = open_gguf(fuzz_folder().write("input.gguf", input));
  for (const auto& [name, shape] : checkpoint.shapes) static_cast<void>(checkpoint.tensor(name));
  const auto tokenizer = load_tokenizer(checkpoint);
  const auto ids = tokenizer.encode("ab a <s> \xC3\xA9\xF0\x9F\x98\x80 12");
  static_cast<void>(tokenizer.decode(ids));
}

}  // namespace

extern const FuzzTarget gguf_target;
const FuzzTarget gguf_target{"gguf", "a GGUF model: its table, tensors and tokenizer", seeds, read};

}  // namespace csreft
