// Compares a tokenizer with a file of texts and their reference ids.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "models/text/tokenizer.h"

struct GoldenTokens {
  std::size_t texts = 0;
  std::vector<std::string> failures;  // a line for each text that failed
};

// `tokens_json` is a list of {"text": ..., key: [ids]}. Every text must give exactly its ids, decode to itself, and
// decode to the same one token at a time. Throws csreft::Error if the file is no such list.
GoldenTokens check_golden_tokens(const csreft::Tokenizer& tokenizer, const std::filesystem::path& tokens_json,
                                 const std::string& key);
