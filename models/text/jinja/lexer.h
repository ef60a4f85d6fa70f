// A template as a list of tokens: the text between tags, and what stands in them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace csreft::jinja {

struct Token {
  enum class Kind { text, output_begin, output_end, tag_begin, tag_end, name, string, integer, number, mark, end };
  Kind kind;
  std::string text;  // of `mark`: "==", "|", ...; of `string`: without quotes, its escapes resolved
  int line;
  std::int64_t integer = 0;
  double number = 0;
};

// Text is already without the white space that goes: that beside `-`; the newline behind a tag (trim_blocks), and the
// spaces in front of a tag that is the first on its line (lstrip_blocks), unless it has a `+`; the last newline of all.
// The last token is `end`. Throws Error, which names the line.
std::vector<Token> tokenize(std::string_view source);

}  // namespace csreft::jinja
