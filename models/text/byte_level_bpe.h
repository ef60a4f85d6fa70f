// Byte-level BPE (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019), as GPT-2, Llama 3 and
// SmolLM2 use it, from the lists that a GGUF holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/tokenizer.h"

namespace csreft {

struct BpeVocabulary {
  std::string source;               // the file's name, for errors
  std::vector<std::string> tokens;  // by id; each byte is written as a printable character, GPT-2's alphabet
  std::vector<TokenType> types;     // by id; empty: all normal. control and user_defined are plain UTF-8, found first
  std::vector<std::string> merges;  // "left right", the first is merged first
  std::vector<std::string> pre_tokenizer;  // patterns; each match, and each stretch between, is cut by the next one
  bool nfc = false;                        // the text is brought into NFC first
  bool ignore_merges = false;              // a part that is a token as a whole is not merged from its bytes (Llama 3)
  std::optional<std::int32_t> bos, eos;
  std::optional<std::int32_t> unknown;  // for a byte without a token; without it such a byte adds nothing
  bool add_bos = false;
};

// Sets the pre-tokenizer, nfc, ignore_merges and add_bos that GGUF's tokenizer.ggml.pre names. Throws Error, naming the
// known ones, for another name.
void set_gguf_pre_tokenizer(std::string_view name, BpeVocabulary& vocabulary);

// Of tokens with the same text the last is found. A token without text, or of type unused, decodes to nothing. Throws
// Error, naming the source, for merges of tokens that do not exist, ids outside the vocabulary and patterns that do not
// compile.
Tokenizer make_bpe_tokenizer(const BpeVocabulary& vocabulary);

}  // namespace csreft
