#include "tests/tiny_chat.h"

#include "core/tensor/safetensors.h"
#include "models/llama/llama_config.h"
#include "tests/tiny_model.h"

namespace {

// GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 onwards.
std::vector<std::string> byte_characters() {
  std::vector<std::string> characters;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    const int code_point = printable ? byte : next++;
    if (code_point < 0x80) {
      characters.push_back({static_cast<char>(code_point)});
    } else {
      characters.push_back(
          {static_cast<char>(0xC0 | (code_point >> 6)), static_cast<char>(0x80 | (code_point & 0x3F))});
    }
  }
  return characters;
}

nlohmann::json tokenizer_json() {
  nlohmann::json vocab{{"<|im_start|>", 0}, {"<|im_end|>", 1}};
  for (const auto& character : byte_characters()) vocab[character] = vocab.size();
  nlohmann::json added = nlohmann::json::array();
  for (const char* mark : {"<|im_start|>", "<|im_end|>"})
    added.push_back({{"id", vocab[mark]}, {"content", mark}, {"special", true}});
  return {{"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::array()}}}};
}

}  // namespace

TinyChat::TinyChat()
    : config{{"model_type", "llama"},
             {"architectures", {"LlamaForCausalLM"}},
             {"vocab_size", 258},
             {"hidden_size", 16},
             {"intermediate_size", 24},
             {"num_hidden_layers", 2},
             {"num_attention_heads", 2},
             {"num_key_value_heads", 1},
             {"max_position_embeddings", 160},
             {"rms_norm_eps", 1e-5},
             {"bos_token_id", 0},
             {"eos_token_id", 1}} {
  std::filesystem::create_directory(path());
  const auto checkpoint = tiny_checkpoint(csreft::parse_llama_config(config, "config.json"));
  for (const auto& [name, shape] : checkpoint.shapes) weights.emplace_back(name, checkpoint.read(name));
  write_config(config);
  write_weights(weights);
  write("tokenizer.json", tokenizer_json().dump());
}

void TinyChat::write_config(const nlohmann::json& changed) const { write("config.json", changed.dump()); }

void TinyChat::write_weights(const std::vector<std::pair<std::string, csreft::Tensor>>& changed) const {
  csreft::save_safetensors(path() / "model.safetensors", changed);
}

void TinyChat::write(const std::string& name, std::string_view bytes) const { folder.write("model/" + name, bytes); }

csreft::Task letter_task(std::size_t n) {
  csreft::Task task{.name = "letters", .examples = {}};
  for (std::size_t i = 0; i < n; ++i) {
    const std::string answer(1, static_cast<char>('a' + i % 3));
    task.examples.push_back({.instruction = std::string(3 + i % 4, static_cast<char>('A' + i % 3)),
                             .input = "",
                             .output = answer,
                             .answer = answer,
                             .dataset = ""});
  }
  return task;
}

std::string letter_json(std::size_t n) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& e : letter_task(n).examples) {
    list.push_back({{"instruction", e.instruction}, {"input", ""}, {"output", e.output}, {"answer", *e.answer}});
  }
  return list.dump();
}
