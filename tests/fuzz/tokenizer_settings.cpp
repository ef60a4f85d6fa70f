#include "models/text/tokenizer_settings.h"

#include "models/text/chat_template_files.h"
#include "models/text/load_tokenizer.h"
#include "tests/fuzz/target.h"
#include "tests/models/text/scored_vocabulary.h"

namespace csreft {

namespace {

// tokenizer_config.json, special_tokens_map.json and added_tokens.json, with a zero byte between.
std::vector<std::string> seeds() {
  const char* const decoder = R"({"legacy": false, "add_bos_token": true, "bos_token": "<s>", "eos_token": "<|end|>",
    "pad_token": null, "chat_template": [{"name": "default", "template": "{{ messages }}"}],
    "additional_special_tokens": ["<x>", {"content": "<y>", "lstrip": true}], "added_tokens_decoder": {
    "2": {"content": "</s>", "special": true}, "269": {"content": "<|end|>", "rstrip": true, "special": true}}})";
  const char* const map = R"({"bos_token": {"content": "<s>", "single_word": false}, "unk_token": "<unk>",
    "mask_token": "<mask>"})";
  return {two_files(decoder, two_files("{}", "{}")),
          two_files(R"({"chat_template": "{{ bos_token }}"})", two_files(map, R"({"<|end|>": 269, "<mask>": 270})"))};
}

void read(std::string_view input) {
  const auto& folder = fuzz_folder();
  static const std::string model = sentencepiece_model(small_scored_vocabulary());
  std::filesystem::create_directory(folder / "files");  // where no other target has left a tokenizer.json
  folder.write("files/tokenizer.model", model);
  const auto [config, others] = two_files_of(input);
  const auto [map, added] = two_files_of(others);
  folder.write("files/tokenizer_config.json", config);
  folder.write("files/special_tokens_map.json", map);
  folder.write("files/added_tokens.json", added);
  const auto tokenizer = load_tokenizer(folder / "files");
  const auto ids = tokenizer.encode("abc <s> <|end|>  <y><mask> \xC3\xA9\n");
  static_cast<void>(tokenizer.decode(ids, false));
  static_cast<void>(read_chat_template(folder / "files"));
  static_cast<void>(read_special_tokens(folder / "files"));
}

}  // namespace

extern const FuzzTarget tokenizer_settings_target;
const FuzzTarget tokenizer_settings_target{"tokenizer_settings", "the files beside a tokenizer, and a text encoded",
                                           seeds, read};

}  // namespace csreft
