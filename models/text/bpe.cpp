#include "models/text/bpe.h"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <queue>

#include "core/base/error.h"
#include "models/text/byte_alphabet.h"
#include "models/text/tokenizer.h"

namespace csreft {
namespace {

constexpr std::int32_t no_token = -1;

struct Merge {
  std::int32_t rank = 0, merged = no_token;
};

// The merges by their two tokens: a hash table with open addresses, at most half full.
class MergeTable {
 public:
  explicit MergeTable(std::size_t size) : slots_(std::bit_ceil(2 * size + 1)) {}

  // A pair that is there already takes the new merge.
  void insert(std::int32_t left, std::int32_t right, Merge merge) {
    auto& slot = slots_[place(left, right)];
    slot = {left, right, merge};
  }
  // nullptr: none.
  const Merge* find(std::int32_t left, std::int32_t right) const {
    const auto& slot = slots_[place(left, right)];
    return slot.left == no_token ? nullptr : &slot.merge;
  }

 private:
  struct Slot {
    std::int32_t left = no_token, right = no_token;
    Merge merge;
  };
  // Where the pair is, or would be.
  std::size_t place(std::int32_t left, std::int32_t right) const {
    const auto key = std::uint64_t{static_cast<std::uint32_t>(left)} << 32U | static_cast<std::uint32_t>(right);
    const auto mask = slots_.size() - 1;
    // Fibonacci hashing: the product's upper bits depend on all of the key.
    auto at = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> 32U) & mask;
    while (slots_[at].left != no_token && (slots_[at].left != left || slots_[at].right != right)) at = (at + 1) & mask;
    return at;
  }
  std::vector<Slot> slots_;
};

class Bpe {
 public:
  explicit Bpe(BpeModel model);
  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const;

 private:
  void append_symbols(std::string_view piece, std::vector<std::int32_t>& ids) const;
  std::int32_t id_of(std::string_view character) const;
  // Appends the tokens of the character's bytes, if each has one.
  bool append_bytes(std::string_view character, std::vector<std::int32_t>& ids) const;
  void merge_pairs(std::vector<std::int32_t>& ids, std::size_t begin) const;

  TokenIds ids_;                              // of characters; with byte_level not used
  TokenIds whole_;                            // with ignore_merges, by a piece
  std::array<std::int32_t, 256> byte_ids_{};  // with byte_level of bytes, with byte_fallback of <0x00> to <0xFF>
  MergeTable merges_;
  std::int32_t unknown_;
  bool byte_level_, byte_fallback_, fuse_unknown_;
};

Bpe::Bpe(BpeModel model)
    : merges_(model.merges.size()),
      unknown_(model.unknown.value_or(no_token)),
      byte_level_(model.byte_level),
      byte_fallback_(model.byte_fallback && !model.byte_level),
      fuse_unknown_(model.fuse_unknown) {
  const auto find = [&](std::string_view token) {
    const auto found = model.ids.find(token);
    return found == model.ids.end() ? no_token : found->second;
  };
  for (std::size_t byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = find(byte_level_ ? byte_alphabet()[byte] : byte_piece(byte));
  }
  std::string merged;
  for (std::size_t rank = 0; rank < model.merges.size(); ++rank) {
    const auto& merge = model.merges[rank];
    const auto known = [&](std::string_view token) {
      const auto id = find(token);
      if (id == no_token) {
        fail("{}: merge {} '{} {}' needs the token '{}': expected it in the vocabulary", model.source, rank,
             printable(merge.first), printable(merge.second), printable(token));
      }
      return id;
    };
    merged.assign(merge.first).append(merge.second);
    const auto left = known(merge.first), right = known(merge.second);
    merges_.insert(left, right, {static_cast<std::int32_t>(rank), known(merged)});
  }
  if (model.ignore_merges) {
    for (const auto& [token, id] : model.ids) whole_.emplace(byte_level_ ? bytes_of_token(token) : token, id);
  }
  if (!byte_level_) ids_ = std::move(model.ids);
}

std::int32_t Bpe::id_of(std::string_view character) const {
  if (byte_level_) return byte_ids_[static_cast<unsigned char>(character.front())];
  const auto found = ids_.find(character);
  return found == ids_.end() ? no_token : found->second;
}

bool Bpe::append_bytes(std::string_view character, std::vector<std::int32_t>& ids) const {
  const auto before = ids.size();
  for (const char byte : character) {
    const auto id = byte_ids_[static_cast<unsigned char>(byte)];
    if (id == no_token) {
      ids.resize(before);
      return false;
    }
    ids.push_back(id);
  }
  return true;
}

void Bpe::append_symbols(std::string_view piece, std::vector<std::int32_t>& ids) const {
  bool unknown_waits = false;  // for more unknown characters to be fused with it
  const auto flush = [&] {
    if (unknown_waits) ids.push_back(unknown_);
    unknown_waits = false;
  };
  while (!piece.empty()) {
    const auto character = piece.substr(0, byte_level_ ? 1 : utf8_front(piece).length);
    piece.remove_prefix(character.size());
    if (const auto id = id_of(character); id != no_token) {
      flush();
      ids.push_back(id);
    } else if (!(byte_fallback_ && append_bytes(character, ids)) && unknown_ != no_token) {
      if (!fuse_unknown_) flush();
      unknown_waits = true;
    }
  }
  flush();
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (!whole_.empty()) {
    const auto found = whole_.find(piece);
    if (found != whole_.end()) return ids.push_back(found->second);
  }
  const auto begin = ids.size();
  append_symbols(piece, ids);
  merge_pairs(ids, begin);
}

// Merges, among the symbols from `begin` on, the pair of the lowest rank, the leftmost of equals, until no pair has
// one: n symbols in O(n log n).
void Bpe::merge_pairs(std::vector<std::int32_t>& ids, std::size_t begin) const {
  struct Candidate {
    Merge merge;
    std::size_t left, right;
    std::int32_t left_id, right_id;
    bool operator<(const Candidate& other) const {
      return merge.rank != other.merge.rank ? merge.rank > other.merge.rank : left > other.left;
    }
  };
  const auto n = ids.size() - begin;
  auto* const symbols = ids.data() + begin;
  std::vector<std::size_t> previous(n), next(n);  // neighbours among the symbols that are left; `n` is none
  std::priority_queue<Candidate> candidates;
  const auto propose = [&](std::size_t left, std::size_t right) {
    if (left == n || right == n) return;
    const auto* merge = merges_.find(symbols[left], symbols[right]);
    if (merge != nullptr) candidates.push({*merge, left, right, symbols[left], symbols[right]});
  };
  for (std::size_t i = 0; i < n; ++i) {
    previous[i] = i == 0 ? n : i - 1;
    next[i] = i + 1;
    propose(i, next[i]);
  }
  while (!candidates.empty()) {
    const auto [merge, left, right, left_id, right_id] = candidates.top();
    candidates.pop();
    // A symbol that was merged since is another token or, as the right half of a pair, none.
    if (symbols[left] != left_id || symbols[right] != right_id) continue;
    symbols[left] = merge.merged;
    symbols[right] = no_token;
    next[left] = next[right];
    if (next[left] != n) previous[next[left]] = left;
    propose(previous[left], left);
    propose(left, next[left]);
  }
  ids.erase(std::remove(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.end(), no_token), ids.end());
}

}  // namespace

EncodePiece make_bpe_model(BpeModel model) {
  const auto bpe = std::make_shared<const Bpe>(std::move(model));
  return [bpe](const Piece& piece, std::vector<std::int32_t>& ids) { bpe->encode(piece.text, ids); };
}

}  // namespace csreft
