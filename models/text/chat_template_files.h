// The chat template in a Hugging Face folder, and the texts of its special tokens.
#pragma once

#include <filesystem>
#include <string>

#include "models/text/chat_template.h"

namespace csreft {

// The Jinja text in chat_template.jinja, tokenizer_config.json or additional_chat_templates/default.jinja, the first
// that is there; of several in tokenizer_config.json the one named "default". Empty if there is none. Throws Error for
// a tokenizer_config.json that is not sound, and for named templates without a "default".
std::string read_chat_template(const std::filesystem::path& folder);

// "bos_token", "eos_token" and their like in tokenizer_config.json, and in special_tokens_map.json what that lacks;
// tokens that are null are left out. Throws Error for files that are not sound.
SpecialTokens read_special_tokens(const std::filesystem::path& folder);

}  // namespace csreft
