// SentencePiece models (Kudo and Richardson, 2018), as Llama 2 uses them: through the library for tokenizer.model, and
// the BPE of such models on its own for the files that hold only their pieces and scores.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/text/tokenizer.h"
#include "models/text/tokenizer_settings.h"

namespace csreft {

// A tokenizer.model, by libsentencepiece, which encodes what lies between the added tokens: those of `settings`, the
// model's control tokens and its unknown one. Throws Error if the file cannot be read or is no such model, and as
// apply_settings does.
Tokenizer load_sentencepiece(const std::filesystem::path& file, const TokenizerSettings& settings = {});

// What GGUF's tokenizer.ggml.* holds where tokenizer.ggml.model is "llama".
struct ScoredVocabulary {
  std::string source;               // the file's name, for errors
  std::vector<std::string> tokens;  // by id; spaces are U+2581, byte tokens "<0x0A>"
  std::vector<float> scores;     // by id; of all pairs that form a token the one of the highest score is merged first
  std::vector<TokenType> types;  // by id
  std::optional<std::int32_t> bos = 1, eos = 2;
  bool add_bos = true;
  bool add_space_prefix = true;
};

// SentencePiece's BPE with byte fallback, without text normalization: characters are merged by score, the leftmost of
// equals first. Control, unknown and user-defined tokens are found first, and each text between them gets the space in
// front; unused ones are never found and decode to nothing. Of tokens with the same text the last is found. Throws
// Error, naming the source, for lists of different lengths, byte tokens that name no byte, and a vocabulary that cannot
// express every text.
Tokenizer make_scored_bpe_tokenizer(const ScoredVocabulary& vocabulary);

}  // namespace csreft
