// Tokenizers from the files of Hugging Face folders.
#pragma once

#include <filesystem>

#include "models/text/tokenizer.h"

namespace csreft {

// A Hugging Face tokenizer.json with a byte-level BPE; bos, eos and add_bos from tokenizer_config.json beside it where
// there is one. Throws Error, naming the file and what it holds, for every other model, normalizer or pre-tokenizer.
Tokenizer load_tokenizer_json(const std::filesystem::path& file);

// The tokenizer of a Hugging Face folder: tokenizer.json if it is a byte-level BPE, else tokenizer.model. Throws Error
// if the folder has neither.
Tokenizer load_tokenizer(const std::filesystem::path& folder);

}  // namespace csreft
