// The steps from a text to ids that all vocabularies share: added tokens, normalizer, pre-tokenizer, model.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/text/added_tokens.h"
#include "models/text/normalizer.h"
#include "models/text/pre_tokenizer.h"

namespace csreft {

// A model: appends the ids of a piece, which is not empty.
using EncodePiece = std::function<void(const Piece& piece, std::vector<std::int32_t>& ids)>;

struct TokenizerPipeline {
  AddedTokenMatcher added;             // found in the text itself
  Normalizer normalizer;               // of each stretch between them, by itself
  AddedTokenMatcher normalized_added;  // found in what the normalizer makes
  PreTokenizer pre_tokenizer;
  EncodePiece model;
  bool repairs_utf8 = false;  // bytes that are no UTF-8 become U+FFFD first
};

std::vector<std::int32_t> encode(const TokenizerPipeline& pipeline, std::string_view text);

// `added` and `normalized_added` of a pipeline whose normalizer is set. Of tokens with the same content the first
// counts.
void set_added_tokens(const std::vector<AddedToken>& tokens, TokenizerPipeline& pipeline);

// Ids by text, found without a copy of it.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using TokenIds = std::unordered_map<std::string, std::int32_t, TextHash, std::equal_to<>>;

}  // namespace csreft
