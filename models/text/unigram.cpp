#include "models/text/unigram.h"

#include <algorithm>
#include <array>
#include <memory>

#include "core/base/error.h"
#include "models/text/byte_alphabet.h"
#include "models/text/tokenizer.h"

namespace csreft {
namespace {

constexpr std::int32_t no_piece = -1;

class Unigram {
 public:
  explicit Unigram(const UnigramModel& model);
  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const;

 private:
  // How the best cut of the text up to a place ends.
  struct Step {
    double score = 0;
    std::size_t begin = 0;
    std::int32_t id = no_piece;
    bool reached = false;
  };
  std::vector<Step> best_steps(std::string_view piece) const;
  // A stretch without tokens.
  void append_unknown(std::string_view stretch, std::vector<std::int32_t>& ids) const;

  std::string source_;
  TokenIds ids_;
  std::vector<double> scores_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::size_t longest_ = 0;  // in bytes
  double unknown_score_ = 0;
  std::int32_t unknown_;
  bool byte_fallback_;
};

Unigram::Unigram(const UnigramModel& model)
    : source_(model.source), unknown_(model.unknown.value_or(no_piece)), byte_fallback_(model.byte_fallback) {
  require(!model.tokens.empty(), "{}: the vocabulary is empty: expected tokens", source_);
  require(!model.unknown || (0 <= unknown_ && static_cast<std::size_t>(unknown_) < model.tokens.size()),
          "{}: the unknown token {} is outside the vocabulary: expected 0 to {}", source_, unknown_,
          model.tokens.size() - 1);
  double lowest = model.tokens.front().second;
  for (const auto& [token, score] : model.tokens) {
    ids_[token] = static_cast<std::int32_t>(scores_.size());
    scores_.push_back(score);
    longest_ = std::max(longest_, token.size());
    lowest = std::min(lowest, score);
  }
  unknown_score_ = lowest - 10;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const auto found = ids_.find(byte_piece(byte));
    byte_ids_[byte] = found == ids_.end() ? no_piece : found->second;
  }
}

std::vector<Unigram::Step> Unigram::best_steps(std::string_view piece) const {
  std::vector<Step> best(piece.size() + 1);
  for (std::size_t begin = 0; begin < piece.size();) {
    const auto character = utf8_front(piece.substr(begin)).length;
    const auto offer = [&](std::size_t end, double score, std::int32_t id) {
      auto& step = best[end];
      const double total = best[begin].score + score;
      if (!step.reached || total > step.score) step = {total, begin, id, true};
    };
    bool has_character = false;
    for (std::size_t length = 1; length <= std::min(longest_, piece.size() - begin); ++length) {
      const auto found = ids_.find(piece.substr(begin, length));
      if (found == ids_.end()) continue;
      offer(begin + length, scores_[static_cast<std::size_t>(found->second)], found->second);
      has_character = has_character || length == character;
    }
    if (!has_character) offer(begin + character, unknown_score_, unknown_);
    begin += character;
  }
  return best;
}

void Unigram::append_unknown(std::string_view stretch, std::vector<std::int32_t>& ids) const {
  const auto byte_id = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  if (byte_fallback_ && std::ranges::none_of(stretch, [&](char byte) { return byte_id(byte) == no_piece; })) {
    for (const char byte : stretch) ids.push_back(byte_id(byte));
    return;
  }
  require(unknown_ != no_piece, "{}: '{}' has no token: expected an unknown token in the vocabulary", source_,
          printable(stretch));
  ids.push_back(unknown_);
}

void Unigram::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  const auto best = best_steps(piece);
  std::vector<std::pair<std::size_t, std::size_t>> stretches;  // from the last to the first, unknown ones joined
  bool after_unknown = false;
  for (auto end = piece.size(); end > 0; end = best[end].begin) {
    const bool unknown = best[end].id == unknown_;
    if (unknown && after_unknown) {
      stretches.back().first = best[end].begin;
    } else {
      stretches.emplace_back(best[end].begin, end);
    }
    after_unknown = unknown;
  }
  for (auto it = stretches.rbegin(); it != stretches.rend(); ++it) {
    const auto stretch = piece.substr(it->first, it->second - it->first);
    const auto found = ids_.find(stretch);
    if (found != ids_.end()) {
      ids.push_back(found->second);
    } else {
      append_unknown(stretch, ids);
    }
  }
}

}  // namespace

EncodePiece make_unigram_model(const UnigramModel& model) {
  const auto unigram = std::make_shared<const Unigram>(model);
  return [unigram](const Piece& piece, std::vector<std::int32_t>& ids) { unigram->encode(piece.text, ids); };
}

}  // namespace csreft
