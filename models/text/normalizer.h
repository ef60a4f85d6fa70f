// What is done to a text before it is cut into pieces: the normalizers of Hugging Face's tokenizers.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "models/text/regex.h"
#include "models/text/unicode.h"

namespace csreft {

// In front of every text that is not empty.
struct PrependText {
  std::string text;
};
// Every occurrence of a text, or every match of a pattern.
struct ReplaceText {
  std::variant<std::string, Regex> pattern;
  std::string content;
};
struct LowerCase {};
struct StripSpace {
  bool left, right;
};
// Every byte becomes a character of byte_alphabet().
struct ToByteAlphabet {};

using NormalizerStep = std::variant<PrependText, ReplaceText, NormalForm, LowerCase, StripSpace, ToByteAlphabet>;
using Normalizer = std::vector<NormalizerStep>;

// `text` is valid UTF-8. The steps in order. Throws Error for a text that grows beyond 1 MiB and 64 times its length.
std::string normalize(const Normalizer& normalizer, std::string_view text);

}  // namespace csreft
