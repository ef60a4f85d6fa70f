// How a text is cut into pieces, which a tokenizer's model encodes one by one: the pre-tokenizers of Hugging Face's
// tokenizers.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "models/text/regex.h"

namespace csreft {

// \s is White_Space. GPT-2's pattern: contractions, words, numbers and symbols, each with the space in front of it, and
// white space.
extern const char* const gpt2_pattern;

struct Piece {
  std::string_view text;
  bool at_start = true;  // of the whole text, nothing before it
};
using PieceSink = std::function<void(const Piece&)>;

// What becomes of the matches of a pattern: pieces of their own, nothing, or a part of the piece before or after them;
// `contiguous` makes one piece of matches that touch.
enum class MatchBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

// Cuts each piece where the pattern matches; `inverted`, what lies between the matches counts as the matches.
struct SplitPieces {
  Regex regex;
  MatchBehavior behavior = MatchBehavior::isolated;
  bool inverted = false;
};
// A space in front of each piece that has none.
struct PrefixSpace {};
// Spaces become `replacement`; one more is put in front where `prefix` says so and the piece has none; pieces are cut
// before each where `split` is set.
struct Metaspace {
  enum class Prefix { always, first, never };
  std::string replacement;
  Prefix prefix = Prefix::always;
  bool split = true;
};
// Every byte becomes a character of byte_alphabet().
struct SpellBytes {};

using PreTokenizerStep = std::variant<SplitPieces, PrefixSpace, Metaspace, SpellBytes>;
using PreTokenizer = std::vector<PreTokenizerStep>;

// Calls `sink` for each piece, in order; none is empty. Throws Error as Regex::Search does.
void cut_into_pieces(const PreTokenizer& steps, const Piece& text, const PieceSink& sink);

}  // namespace csreft
