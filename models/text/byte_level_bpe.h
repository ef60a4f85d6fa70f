// Byte-level BPE (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019), as GPT-2, Llama 3 and
// SmolLM2 use it: the text is split by regular expressions, the bytes of each part are merged pair by pair.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/tokenizer.h"

namespace csreft {

// One step of the pre-tokenizer: every part of the text is cut further.
struct SplitStep {
  std::string pattern;            // each match, and each stretch between matches, becomes a part; empty: no cut
  bool add_prefix_space = false;  // first puts a space in front of each part that has none
};

// GPT-2's pattern: contractions, words, numbers and symbols, each with the space in front of it, and white space.
extern const char* const gpt2_pattern;

struct BpeVocabulary {
  std::string source;               // the file's name, for errors
  std::vector<std::string> tokens;  // by id; each byte is written as a printable character, GPT-2's alphabet
  std::vector<TokenType> types;     // by id; empty: all normal. control and user_defined are plain UTF-8, found first
  std::vector<std::string> merges;  // "left right", the first is merged first
  std::vector<SplitStep> pre_tokenizer;
  bool ignore_merges = false;  // a part that is a token as a whole is not merged from its bytes (Llama 3)
  std::optional<std::int32_t> bos, eos;
  std::optional<std::int32_t> unknown;  // for a byte without a token; without it such a byte adds nothing
  bool add_bos = false;
};

// Sets the pre-tokenizer, ignore_merges and add_bos that GGUF's tokenizer.ggml.pre names: "smollm", "gpt-2",
// "llama-bpe" or "default". Throws Error for another name.
void set_gguf_pre_tokenizer(std::string_view name, BpeVocabulary& vocabulary);

// Throws Error, naming the source, for duplicate tokens, merges of tokens that do not exist, ids outside the vocabulary
// and patterns that do not compile.
Tokenizer make_bpe_tokenizer(const BpeVocabulary& vocabulary);

}  // namespace csreft
