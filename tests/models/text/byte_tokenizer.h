// A tokenizer whose ids tell what they stand for, for tests of what is encoded.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "models/text/added_tokens.h"
#include "models/text/tokenizer.h"

// A token a byte, at 3 + byte, behind the table's first three, which have texts already. Of these, `found` are the ones
// that are found in a text.
inline csreft::Tokenizer byte_tokenizer_of(csreft::TokenTable table, std::span<const std::int32_t> found) {
  for (int byte = 0; byte < 256; ++byte) table.text.emplace_back(1, static_cast<char>(byte));
  table.special.resize(table.text.size(), false);
  std::vector<csreft::AddedToken> marks;
  for (const auto id : found) {
    marks.push_back({.content = table.text[static_cast<std::size_t>(id)], .id = id, .special = true});
  }
  return csreft::Tokenizer(std::move(table), [matcher = csreft::AddedTokenMatcher(marks)](std::string_view text) {
    std::vector<std::int32_t> ids;
    matcher.split(text, [&](const csreft::AddedTokenMatcher::Part& part) {
      if (part.token != nullptr) return ids.push_back(part.token->id);
      for (const char byte : text.substr(part.begin, part.end - part.begin)) {
        ids.push_back(3 + static_cast<unsigned char>(byte));
      }
    });
    return ids;
  });
}
