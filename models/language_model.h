// A model ready for use: the network, its tokenizer and its chat template.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "models/llama/llama.h"
#include "models/text/chat_template.h"
#include "models/text/tokenizer.h"

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

// Loads all of it, the weights to a device. `chat_template` names a template; empty: the one that the model's files
// call for. Throws Error, before it reads them, for weights that need more memory than is free (memory_needs.h).
LanguageModel load_language_model(const std::filesystem::path& path, std::string_view chat_template = "",
                                  Weights weights = Weights::frozen, const Device& device = {});

// The ids at which the model's generation stops: those of its chat template and tokenizer (stop_tokens of
// chat_template.h), then the config's eos_token_ids; each once.
std::vector<std::int32_t> stop_tokens(const LanguageModel& model);

}  // namespace csreft
