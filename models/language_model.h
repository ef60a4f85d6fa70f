// A model ready for use: the network, its tokenizer and its chat template.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "models/chat_template.h"
#include "models/llama.h"
#include "models/tokenizer.h"

namespace csreft {

struct LanguageModel {
  std::string name;
  std::filesystem::path path;
  Llama llama;
  Tokenizer tokenizer;
  const ChatTemplate* chat;
};

// The tokenizer that belongs to a checkpoint. Throws Error if its files are missing or unsound, or if it has more
// tokens than the model's vocabulary.
Tokenizer load_tokenizer(const Checkpoint& checkpoint);

// Loads all of it. `chat_template` names a template; empty: the one that the model's files call for.
LanguageModel load_language_model(const std::filesystem::path& path, std::string_view chat_template = "",
                                  Weights weights = Weights::frozen);

}  // namespace csreft
