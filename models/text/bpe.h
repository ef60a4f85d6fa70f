// Byte-pair encoding (Sennrich et al., 2016) by ranked merges, as Hugging Face's tokenizers run it: over characters,
// with tokens of bytes for those without one (Llama 2), or over bytes (GPT-2, Llama 3).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/text/tokenizer_pipeline.h"

namespace csreft {

struct BpeModel {
  std::string source;  // the file's name, for errors
  TokenIds ids;        // of the tokens that text is made of
  // The first is merged first. Their texts outlive make_bpe_model.
  std::vector<std::pair<std::string_view, std::string_view>> merges;
  std::optional<std::int32_t> unknown;  // for a character without a token; without it such a character adds nothing
  bool byte_level = false;     // pieces are bytes, each of which the tokens write as a character of byte_alphabet()
  bool byte_fallback = false;  // a character without a token is its bytes' tokens, <0x00> to <0xFF>, if all exist
  bool fuse_unknown = false;   // neighbouring unknown characters are one token
  bool ignore_merges = false;  // a piece that is a token is not merged from its parts (Llama 3)
};

// Throws Error, naming the source, for merges of tokens that do not exist.
EncodePiece make_bpe_model(BpeModel model);

}  // namespace csreft
