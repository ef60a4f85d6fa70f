// A model ready for use: the network, its tokenizer and its chat template.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
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
  std::shared_ptr<const ChatTemplate> chat;
  SpecialTokens special_tokens{};  // for another chat template
  // What a user should be told of the model's files, a line each.
  std::vector<std::string> notes{};
  // What a user should be told where the chat template is not that of its files, and nobody named it; else empty.
  std::string template_note{};
};

// The tokenizer that belongs to a checkpoint; the model's ids that it lacks have no text. It may have tokens beyond the
// model's vocabulary, which the model refuses. Throws Error if its files are missing or unsound.
Tokenizer load_tokenizer(const Checkpoint& checkpoint);

// Loads all of it, the weights to a device. `chat_template` names a template or a file of one; empty: the one that the
// model's files call for. Throws Error, before it reads them, for weights that need more memory than is free
// (memory_needs.h).
LanguageModel load_language_model(const std::filesystem::path& path, std::string_view chat_template = "",
                                  Weights weights = Weights::frozen, const Device& device = {});

// The ids at which the model's generation stops: those of its chat template and tokenizer (stop_tokens of
// chat_template.h), then the config's eos_token_ids; each once.
std::vector<std::int32_t> stop_tokens(const LanguageModel& model);

}  // namespace csreft
