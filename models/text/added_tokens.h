// Tokens that are found in a text as they are, before a tokenizer's algorithm sees what lies between them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/regex.h"

namespace csreft {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool special = false;      // a mark of the format, which decoding leaves out
  bool single_word = false;  // not found next to a letter, digit, mark or underscore
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and after it
  bool normalized = false;   // found after the text is normalized, as its own content is
};

// Finds the tokens of a set, of those that start at one place the longest (Hugging Face's AddedVocabulary).
class AddedTokenMatcher {
 public:
  // Tokens without content are never found.
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens = {});

  bool empty() const { return tokens_.empty(); }

  // A stretch of the text: a token's, or what lies between.
  struct Part {
    std::size_t begin, end;
    const AddedToken* token;  // nullptr: none
  };
  // Calls `part` for each, in order; stretches between tokens are not empty.
  void split(std::string_view text, const std::function<void(const Part&)>& part) const;

 private:
  // The longest token that `text` starts with, or nullptr.
  const AddedToken* match(std::string_view text) const;
  bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) const;

  std::vector<AddedToken> tokens_;                   // sorted by content
  std::vector<std::optional<std::size_t>> shorter_;  // of each, the longest other token that it starts with
  std::array<bool, 256> starts_{};                   // by first byte
  std::optional<Regex> word_;
};

}  // namespace csreft
