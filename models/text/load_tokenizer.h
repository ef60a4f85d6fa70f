// Tokenizers from the files of Hugging Face folders.
#pragma once

#include <filesystem>

#include "models/text/tokenizer.h"

namespace csreft {

// A Hugging Face tokenizer.json as read_tokenizer_json does, with what the files beside it say (tokenizer_config.json,
// special_tokens_map.json, added_tokens.json). Throws Error, naming the file and what it holds, for what is not read.
Tokenizer load_tokenizer_json(const std::filesystem::path& file);

// The tokenizer of a Hugging Face folder: tokenizer.json if its parts are of known types, else tokenizer.model. Throws
// Error if the folder has neither.
Tokenizer load_tokenizer(const std::filesystem::path& folder);

}  // namespace csreft
