// Hugging Face's tokenizer.json.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "models/text/tokenizer.h"
#include "models/text/tokenizer_settings.h"

namespace csreft {

// BPE over bytes or characters and Unigram models, with the normalizers, pre-tokenizers, decoders and added tokens that
// tokenizers knows for them; ids are those of its Tokenizer.encode without special tokens around. Ids may have gaps.
// The steps are those of the file, as tokenizers and transformers 4 run them; transformers 5 replaces those of a
// LlamaTokenizer by its own.
// `file` is the name for errors. Throws Error for what is not read and for what contradicts itself.
Tokenizer read_tokenizer_json(const nlohmann::json& tokenizer, const std::string& file,
                              const TokenizerSettings& settings = {});

// Whether read_tokenizer_json knows the types of all parts of the file, be they sound or not.
bool is_read_tokenizer_json(const nlohmann::json& tokenizer);

}  // namespace csreft
