#include "models/checkpoints/open_checkpoint.h"

#include "core/base/error.h"
#include "models/checkpoints/gguf.h"
#include "models/checkpoints/hugging_face.h"
#include "models/checkpoints/llama2c.h"
#include "models/text/byte_alphabet.h"
#include "models/text/tokenizer.h"

namespace csreft {
namespace {

// OWNER/NAME
bool is_hub_name(std::string_view text) {
  constexpr std::string_view name = "/-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const std::size_t slash = text.find('/');
  return slash != text.npos && slash > 0 && slash + 1 < text.size() && text.find('/', slash + 1) == text.npos &&
         text.front() != '.' && text.find_first_not_of(name) == text.npos;
}

}  // namespace

Checkpoint open_checkpoint(const std::filesystem::path& path) {
  require(std::filesystem::exists(path),
          "model {} does not exist: expected a folder, a .gguf or a .bin file, or smollm2{}", path.string(),
          is_hub_name(path.string())
              ? fmt::format("; names of the Hugging Face Hub are not fetched: hf download {} --local-dir "
                            "FOLDER does so",
                            path.string())
              : "");
  const auto extension = path.extension();
  Checkpoint checkpoint;
  if (std::filesystem::is_directory(path)) {
    checkpoint = open_hugging_face(path);
  } else if (extension == ".gguf") {
    checkpoint = open_gguf(path);
  } else if (extension == ".bin") {
    checkpoint = open_llama2c(path);
  } else if (extension == ".safetensors") {
    fail("model {} is one file of a Hugging Face folder: expected the folder", path.string());
  } else {
    fail("model {} is of no known kind: expected a Hugging Face folder, a .gguf or a llama2.c .bin file",
         path.string());
  }
  auto full = std::filesystem::weakly_canonical(path);
  checkpoint.name = full.filename().string();
  checkpoint.path = path;
  check_complete(checkpoint);
  return checkpoint;
}

TokenizerOrigin open_tokenizer(const std::filesystem::path& path) {
  require(std::filesystem::exists(path),
          "tokenizer {} does not exist: expected a folder, a tokenizer.json, a tokenizer.model or a GGUF",
          path.string());
  if (std::filesystem::is_directory(path)) return {TokenizerFolder{path}, ""};
  if (path.extension() != ".gguf") return {TokenizerFile{path}, ""};
  const Checkpoint checkpoint = open_checkpoint(path);
  return {checkpoint.tokenizer, checkpoint.chat_template};
}

TokenizerVocabulary byte_vocabulary() {
  TokenizerVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "default";
  vocabulary.tokens.assign(byte_alphabet().begin(), byte_alphabet().end());
  vocabulary.types.assign(vocabulary.tokens.size(), static_cast<std::int32_t>(TokenType::normal));
  const auto add_mark = [&](const char* mark) {
    vocabulary.tokens.emplace_back(mark);
    vocabulary.types.push_back(static_cast<std::int32_t>(TokenType::control));
    return static_cast<std::int32_t>(vocabulary.tokens.size()) - 1;
  };
  vocabulary.bos_id = add_mark("<s>");
  vocabulary.eos_id = add_mark("</s>");
  return vocabulary;
}

}  // namespace csreft
