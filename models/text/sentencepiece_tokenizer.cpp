#include "models/text/sentencepiece_tokenizer.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <queue>
#include <unordered_map>

#include <sentencepiece_processor.h>

#include "core/base/error.h"
#include "core/base/whole_number.h"

namespace csreft {
namespace {

constexpr std::string_view space_mark = "\u2581";

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string replaced;
  for (std::size_t found; (found = text.find(from)) != text.npos; text.remove_prefix(found + from.size())) {
    replaced.append(text.substr(0, found)).append(to);
  }
  return replaced.append(text);
}

// The byte of "<0x0A>", if the piece is written so.
std::optional<char> byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  const auto value = parse_whole_number<unsigned>(piece.substr(3, 2), 16);
  return value ? std::optional(static_cast<char>(*value)) : std::nullopt;
}

// What a piece adds to decoded text, as in SentencePiece's decoder.
std::string text_of_piece(std::string_view piece, TokenType type) {
  if (type == TokenType::control) return std::string(piece);
  if (type == TokenType::unknown) return " \u2047 ";
  if (type == TokenType::byte) return std::string(1, byte_of_piece(piece).value());
  return replace_all(piece, space_mark, " ");
}

std::string read_file(const std::filesystem::path& file, std::string_view expected) {
  std::ifstream stream(file, std::ios::binary);
  require(stream.is_open() && !std::filesystem::is_directory(file), "{}: cannot be read: expected {}", file.string(),
          expected);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

Tokenizer load_sentencepiece(const std::filesystem::path& file) {
  const auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
  const auto bytes = read_file(file, "a SentencePiece model");
  const bool loaded = processor->LoadFromSerializedProto(bytes).ok();
  require(loaded && processor->GetPieceSize() > 0, "{}: not a SentencePiece model: expected a complete tokenizer.model",
          file.string());

  TokenTable table;
  for (int id = 0; id < processor->GetPieceSize(); ++id) {
    const auto type = processor->IsControl(id)   ? TokenType::control
                      : processor->IsUnknown(id) ? TokenType::unknown
                      : processor->IsByte(id)    ? TokenType::byte
                                                 : TokenType::normal;
    table.text.push_back(text_of_piece(processor->IdToPiece(id), type));
    table.special.push_back(type == TokenType::control);
  }
  if (processor->bos_id() >= 0) table.bos = processor->bos_id();
  if (processor->eos_id() >= 0) table.eos = processor->eos_id();
  table.add_bos = table.bos.has_value();
  const auto encode = [processor](std::string_view text) {
    std::vector<int> ids;
    const auto encoded = processor->Encode(text, &ids);
    require(encoded.ok(), "SentencePiece: {}: expected a text", encoded.message());
    return std::vector<std::int32_t>(ids.begin(), ids.end());
  };
  // The library does not tell whether the model puts a space in front, but shows it.
  const auto example = encode("a");
  table.leading_space = !example.empty() && table.text.at(static_cast<std::size_t>(example[0])).starts_with(' ');
  return Tokenizer(std::move(table), encode);
}

namespace {

class ScoredBpe {
 public:
  explicit ScoredBpe(const ScoredVocabulary& vocabulary);
  std::vector<std::int32_t> encode(std::string_view text) const;
  const TokenTable& table() const { return table_; }

 private:
  // A stretch of the normalized text; empty once it is part of the symbol on its left.
  struct Symbol {
    std::string_view text;
    std::size_t previous, next;
    bool fixed;  // a user-defined token, which takes no part in merges
  };
  void read_tokens(const ScoredVocabulary& vocabulary);
  std::string normalize(std::string_view text) const;
  std::vector<Symbol> symbols_of(std::string_view text) const;
  void merge_symbols(std::vector<Symbol>& symbols) const;
  void append_ids(std::string_view symbol, std::vector<std::int32_t>& ids) const;

  TokenTable table_;
  bool add_space_prefix_;
  std::vector<float> scores_;
  TokenMatcher user_defined_;
  std::unordered_map<std::string, std::int32_t> ids_;  // of the tokens that text is made of
  std::array<std::int32_t, 256> byte_ids_{};           // the unknown token where a byte has none
};

ScoredBpe::ScoredBpe(const ScoredVocabulary& vocabulary)
    : add_space_prefix_(vocabulary.add_space_prefix), scores_(vocabulary.scores) {
  const auto size = vocabulary.tokens.size();
  require(vocabulary.scores.size() == size && vocabulary.types.size() == size,
          "{}: {} tokens, {} scores and {} types: expected as many of each", vocabulary.source, size,
          vocabulary.scores.size(), vocabulary.types.size());
  for (const auto& id : {vocabulary.bos, vocabulary.eos}) {
    require(!id || (*id >= 0 && static_cast<std::size_t>(*id) < size),
            "{}: special token id {} is outside the vocabulary: expected 0 to {}", vocabulary.source, id.value_or(0),
            static_cast<std::int64_t>(size) - 1);
  }
  read_tokens(vocabulary);
  table_.bos = vocabulary.bos;
  table_.eos = vocabulary.eos;
  table_.add_bos = vocabulary.add_bos;
  table_.leading_space = vocabulary.add_space_prefix;
}

void ScoredBpe::read_tokens(const ScoredVocabulary& vocabulary) {
  constexpr std::int32_t no_token = -1;
  byte_ids_.fill(no_token);
  std::int32_t unknown = no_token;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const auto& token = vocabulary.tokens[i];
    const auto type = vocabulary.types[i];
    const auto id = static_cast<std::int32_t>(i);
    if (type == TokenType::unknown) unknown = id;
    if (type == TokenType::byte) {
      const auto byte = byte_of_piece(token);
      require(byte.has_value(), "{}: byte token {} is '{}': expected the form <0x0A>", vocabulary.source, id,
              printable(token));
      byte_ids_[static_cast<unsigned char>(*byte)] = id;
    }
    if (type == TokenType::normal || type == TokenType::user_defined) {
      require(!token.empty(), "{}: token {} is empty: expected a text", vocabulary.source, id);
      const auto [first, is_new] = ids_.emplace(token, id);
      if (!is_new) {
        fail("{}: tokens {} and {} are both '{}': expected distinct tokens", vocabulary.source, first->second, id,
             printable(token));
      }
      if (type == TokenType::user_defined) user_defined_.add(token, id);
    }
    table_.text.push_back(text_of_piece(token, type));
    table_.special.push_back(type == TokenType::control);
  }
  for (auto& id : byte_ids_) {
    if (id == no_token) id = unknown;
    require(id != no_token, "{}: neither a token for each byte nor an unknown token: expected one of them",
            vocabulary.source);
  }
}

std::vector<std::int32_t> ScoredBpe::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  if (text.empty()) return ids;
  const auto normalized = normalize(text);
  auto symbols = symbols_of(normalized);
  merge_symbols(symbols);
  for (const auto& symbol : symbols) {
    if (!symbol.text.empty()) append_ids(symbol.text, ids);
  }
  return ids;
}

// Spaces as U+2581, one more in front, and each byte that is no UTF-8 as U+FFFD.
std::string ScoredBpe::normalize(std::string_view text) const {
  std::string normalized(add_space_prefix_ ? space_mark : "");
  while (!text.empty()) {
    const auto [kind, length] = utf8_front(text);
    const bool whole = kind == Utf8Front::Kind::whole;
    const auto character = text.substr(0, whole ? length : 1);
    normalized += !whole ? replacement_character : character == " " ? space_mark : character;
    text.remove_prefix(character.size());
  }
  return normalized;
}

// User-defined tokens, and the characters between them.
std::vector<ScoredBpe::Symbol> ScoredBpe::symbols_of(std::string_view text) const {
  std::vector<Symbol> symbols;
  const auto append = [&](std::string_view symbol, bool fixed) {
    symbols.push_back({symbol, symbols.size() - 1, symbols.size() + 1, fixed});
  };
  while (!text.empty()) {
    if (const auto* token = user_defined_.match(text)) {
      append(text.substr(0, token->first.size()), true);
      text.remove_prefix(token->first.size());
      continue;
    }
    const auto length = utf8_front(text).length;
    append(text.substr(0, length), false);
    text.remove_prefix(length);
  }
  return symbols;
}

// Merges the pair that forms the token of the highest score, the leftmost of equals, until no pair forms a token.
void ScoredBpe::merge_symbols(std::vector<Symbol>& symbols) const {
  struct Candidate {
    float score;
    std::size_t left, right, length;
    bool operator<(const Candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };
  std::priority_queue<Candidate> candidates;
  const auto propose = [&](std::size_t left, std::size_t right) {
    if (left >= symbols.size() || right >= symbols.size() || symbols[left].fixed || symbols[right].fixed) return;
    const auto token = std::string(symbols[left].text).append(symbols[right].text);
    const auto found = ids_.find(token);
    if (found == ids_.end()) return;
    candidates.push({scores_[static_cast<std::size_t>(found->second)], left, right, token.size()});
  };
  for (std::size_t i = 1; i < symbols.size(); ++i) propose(i - 1, i);
  while (!candidates.empty()) {
    const auto [score, l, r, length] = candidates.top();
    candidates.pop();
    auto& left = symbols[l];
    auto& right = symbols[r];
    // A symbol that was merged since is longer or, as the right half of a pair, empty.
    if (left.text.empty() || right.text.empty() || left.text.size() + right.text.size() != length) continue;
    left.text = {left.text.data(), length};
    right.text = {};
    left.next = right.next;
    if (left.next < symbols.size()) symbols[left.next].previous = l;
    propose(left.previous, l);
    propose(l, left.next);
  }
}

void ScoredBpe::append_ids(std::string_view symbol, std::vector<std::int32_t>& ids) const {
  const auto found = ids_.find(std::string(symbol));
  if (found != ids_.end()) return ids.push_back(found->second);
  for (const char byte : symbol) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
}

}  // namespace

Tokenizer make_scored_bpe_tokenizer(const ScoredVocabulary& vocabulary) {
  const auto model = std::make_shared<const ScoredBpe>(vocabulary);
  return Tokenizer(model->table(), [model](std::string_view text) { return model->encode(text); });
}

}  // namespace csreft
