#include "models/text/pre_tokenizer.h"

#include <algorithm>

#include "models/text/byte_alphabet.h"
#include "models/text/unicode.h"

namespace csreft {

const char* const gpt2_pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

struct Cut {
  std::size_t begin, end;
  bool is_match;
};

// Calls cut(begin, end, is_match) for each match and each stretch between matches.
template <typename OnCut>
void find_cuts(const SplitPieces& step, std::string_view text, OnCut cut) {
  Regex::Search search(step.regex, text);
  std::size_t done = 0;
  while (const auto match = search.next()) {
    if (done < match->begin) cut(done, match->begin, step.inverted);
    cut(match->begin, match->end, !step.inverted);
    done = match->end;
  }
  if (done < text.size()) cut(done, text.size(), step.inverted);
}

// Joins cuts: a match with what comes before it, or matches with matches and the rest with the rest.
std::vector<Cut> joined_forwards(const std::vector<Cut>& cuts, bool contiguous) {
  std::vector<Cut> pieces;
  bool after_match = false;
  for (const auto& cut : cuts) {
    const bool joins = contiguous ? cut.is_match == after_match : cut.is_match && !after_match;
    if (joins && !pieces.empty()) {
      pieces.back().end = cut.end;
    } else {
      pieces.push_back(cut);
    }
    after_match = cut.is_match;
  }
  return pieces;
}

// A match joins what comes after it.
std::vector<Cut> joined_backwards(std::vector<Cut> cuts) {
  std::vector<Cut> pieces;
  bool after_match = false;
  std::ranges::reverse(cuts);
  for (const auto& cut : cuts) {
    if (cut.is_match && !after_match && !pieces.empty()) {
      pieces.back().begin = cut.begin;
    } else {
      pieces.push_back(cut);
    }
    after_match = cut.is_match;
  }
  std::ranges::reverse(pieces);
  return pieces;
}

// A walk through the steps from `step` on. Each of its functions hands on what its step makes of a piece.
class Cutter {
 public:
  Cutter(const PreTokenizer& steps, const PieceSink& sink) : steps_(steps), sink_(sink) {}

  void run(const Piece& piece, std::size_t step) const {
    if (piece.text.empty()) return;
    if (step == steps_.size()) return sink_(piece);
    std::visit([&](const auto& known) { apply(known, piece, step + 1); }, steps_[step]);
  }

 private:
  void part(const Piece& piece, std::size_t begin, std::size_t end, std::size_t next) const {
    run({piece.text.substr(begin, end - begin), piece.at_start && begin == 0}, next);
  }

  void apply(const SplitPieces& step, const Piece& piece, std::size_t next) const {
    if (step.behavior == MatchBehavior::isolated || step.behavior == MatchBehavior::removed) {
      const bool keeps = step.behavior == MatchBehavior::isolated;
      return find_cuts(step, piece.text, [&](std::size_t begin, std::size_t end, bool is_match) {
        if (keeps || !is_match) part(piece, begin, end, next);
      });
    }
    std::vector<Cut> cuts;
    find_cuts(step, piece.text, [&](std::size_t begin, std::size_t end, bool is_match) {
      cuts.push_back({begin, end, is_match});
    });
    cuts = step.behavior == MatchBehavior::merged_with_next
               ? joined_backwards(std::move(cuts))
               : joined_forwards(cuts, step.behavior == MatchBehavior::contiguous);
    for (const auto& cut : cuts) part(piece, cut.begin, cut.end, next);
  }

  void apply(PrefixSpace, const Piece& piece, std::size_t next) const {
    if (piece.text.front() == ' ') return run(piece, next);
    const auto prefixed = " " + std::string(piece.text);
    run({prefixed, piece.at_start}, next);
  }

  void apply(const Metaspace& step, const Piece& piece, std::size_t next) const {
    auto text = replace_all(piece.text, " ", step.replacement);
    const bool prefixes =
        step.prefix == Metaspace::Prefix::always || (step.prefix == Metaspace::Prefix::first && piece.at_start);
    if (prefixes && !text.starts_with(step.replacement)) text.insert(0, step.replacement);
    const Piece whole{text, piece.at_start};
    for (std::size_t begin = 0; begin < text.size();) {
      const auto end = step.split ? text.find(step.replacement, begin + 1) : text.npos;
      part(whole, begin, std::min(end, text.size()), next);
      begin = std::min(end, text.size());
    }
  }

  void apply(SpellBytes, const Piece& piece, std::size_t next) const {
    const auto spelled = in_byte_alphabet(piece.text);
    run({spelled, piece.at_start}, next);
  }

  const PreTokenizer& steps_;
  const PieceSink& sink_;
};

}  // namespace

void cut_into_pieces(const PreTokenizer& steps, const Piece& text, const PieceSink& sink) {
  Cutter(steps, sink).run(text, 0);
}

}  // namespace csreft
