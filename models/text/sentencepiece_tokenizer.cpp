#include "models/text/sentencepiece_tokenizer.h"

#include <algorithm>
#include <array>
#include <queue>

#include <sentencepiece_processor.h>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "models/text/byte_alphabet.h"
#include "models/text/tokenizer_pipeline.h"
#include "models/text/unicode.h"

namespace csreft {
namespace {

constexpr std::string_view space_symbol = "\u2581";

// What a piece adds to decoded text, as in SentencePiece's decoder.
std::string text_of_piece(std::string_view piece, TokenType type) {
  if (type == TokenType::control) return std::string(piece);
  if (type == TokenType::unused) return {};
  if (type == TokenType::unknown) return " \u2047 ";
  if (type == TokenType::byte) return std::string(1, byte_of_piece(piece).value());
  return replace_all(piece, space_symbol, " ");
}

using Processor = sentencepiece::SentencePieceProcessor;

std::shared_ptr<Processor> load_processor(const std::string& bytes, const std::filesystem::path& file) {
  auto processor = std::make_shared<Processor>();
  const bool loaded = processor->LoadFromSerializedProto(bytes).ok();
  require(loaded && processor->GetPieceSize() > 0, "{}: not a SentencePiece model: expected a complete tokenizer.model",
          file.string());
  return processor;
}

TokenType type_of_piece(const Processor& processor, int id) {
  return processor.IsControl(id)   ? TokenType::control
         : processor.IsUnknown(id) ? TokenType::unknown
         : processor.IsByte(id)    ? TokenType::byte
                                   : TokenType::normal;
}

// `start` encodes what a text starts with, `inside` what follows an added token or has its space already.
EncodePiece encode_by(const std::shared_ptr<const Processor>& start, const std::shared_ptr<const Processor>& inside) {
  return [start, inside](const Piece& piece, std::vector<std::int32_t>& ids) {
    const bool has_space = piece.text.starts_with(' ') || piece.text.starts_with(space_symbol);
    std::vector<int> found;
    const auto encoded = (piece.at_start && !has_space ? start : inside)->Encode(piece.text, &found);
    require(encoded.ok(), "SentencePiece: {}: expected a text", encoded.message());
    ids.insert(ids.end(), found.begin(), found.end());
  };
}

}  // namespace

Tokenizer load_sentencepiece(const std::filesystem::path& file, const TokenizerSettings& settings) {
  const auto bytes = read_text_file(file);
  const auto processor = load_processor(bytes, file);
  TokenTable table;
  std::vector<AddedToken> of_model, added;
  for (int id = 0; id < processor->GetPieceSize(); ++id) {
    const auto type = type_of_piece(*processor, id);
    const auto& piece = processor->IdToPiece(id);
    const bool special = type == TokenType::control;
    if (special || type == TokenType::unknown) of_model.push_back({.content = piece, .id = id, .special = special});
    table.text.push_back(text_of_piece(piece, type));
    table.special.push_back(special);
  }
  if (processor->bos_id() >= 0) table.bos = processor->bos_id();
  if (processor->eos_id() >= 0) table.eos = processor->eos_id();
  table.add_bos = table.bos.has_value();
  const auto find = [&](std::string_view content) {
    const int id = processor->PieceToId(content);
    return processor->IdToPiece(id) == content ? std::optional<std::int32_t>(id) : std::nullopt;
  };
  apply_settings(settings, find, added, table);
  added.insert(added.end(), of_model.begin(), of_model.end());

  const auto pipeline = std::make_shared<TokenizerPipeline>();
  for (auto& token : added) token.normalized = false;  // the model's own normalization is the library's
  set_added_tokens(added, *pipeline);
  // The message's last word counts: normalizer_spec { add_dummy_prefix: false }.
  constexpr std::string_view no_prefix("\x1A\x02\x18\x00", 4);
  const auto inside = settings.legacy ? processor : load_processor(bytes + std::string(no_prefix), file);
  pipeline->model = encode_by(processor, inside);
  // The library does not tell whether the model puts a space in front, but shows it.
  std::vector<std::int32_t> example;
  pipeline->model({"a"}, example);
  table.leading_space = !example.empty() && table.text.at(static_cast<std::size_t>(example[0])).starts_with(' ');
  return Tokenizer(std::move(table), [pipeline](std::string_view text) { return encode(*pipeline, text); });
}

namespace {

class ScoredBpe {
 public:
  explicit ScoredBpe(const ScoredVocabulary& vocabulary);
  // Appends the ids of a text whose spaces are U+2581.
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const;

 private:
  // A stretch of the text; empty once it is part of the symbol on its left.
  struct Symbol {
    std::string_view text;
    std::size_t previous, next;
  };
  static std::vector<Symbol> symbols_of(std::string_view text);
  void merge_symbols(std::vector<Symbol>& symbols) const;
  void append_ids(std::string_view symbol, std::vector<std::int32_t>& ids) const;

  std::vector<float> scores_;
  TokenIds ids_;                              // of the tokens that text is made of
  std::array<std::int32_t, 256> byte_ids_{};  // the unknown token where a byte has none
};

ScoredBpe::ScoredBpe(const ScoredVocabulary& vocabulary) : scores_(vocabulary.scores) {
  constexpr std::int32_t absent = -1;
  byte_ids_.fill(absent);
  std::int32_t unknown = absent;
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
    if (type == TokenType::normal && !token.empty()) ids_.insert_or_assign(token, id);
  }
  for (auto& id : byte_ids_) {
    if (id == absent) id = unknown;
    require(id != absent, "{}: neither a token for each byte nor an unknown token: expected one of them",
            vocabulary.source);
  }
}

void ScoredBpe::encode(std::string_view text, std::vector<std::int32_t>& ids) const {
  auto symbols = symbols_of(text);
  merge_symbols(symbols);
  for (const auto& symbol : symbols) {
    if (!symbol.text.empty()) append_ids(symbol.text, ids);
  }
}

// The characters.
std::vector<ScoredBpe::Symbol> ScoredBpe::symbols_of(std::string_view text) {
  std::vector<Symbol> symbols;
  while (!text.empty()) {
    const auto length = utf8_front(text).length;
    symbols.push_back({text.substr(0, length), symbols.size() - 1, symbols.size() + 1});
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
    if (left >= symbols.size() || right >= symbols.size()) return;
    // They touch, so both together are a stretch of the text.
    const std::string_view token(symbols[left].text.data(), symbols[left].text.size() + symbols[right].text.size());
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
  const auto found = ids_.find(symbol);
  if (found != ids_.end()) return ids.push_back(found->second);
  for (const char byte : symbol) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
}

void check_lists(const ScoredVocabulary& vocabulary) {
  const auto size = vocabulary.tokens.size();
  require(vocabulary.scores.size() == size && vocabulary.types.size() == size,
          "{}: {} tokens, {} scores and {} types: expected as many of each", vocabulary.source, size,
          vocabulary.scores.size(), vocabulary.types.size());
  for (const auto& id : {vocabulary.bos, vocabulary.eos}) {
    require(!id || (*id >= 0 && static_cast<std::size_t>(*id) < size),
            "{}: special token id {} is outside the vocabulary: expected 0 to {}", vocabulary.source, id.value_or(0),
            static_cast<std::int64_t>(size) - 1);
  }
}

}  // namespace

Tokenizer make_scored_bpe_tokenizer(const ScoredVocabulary& vocabulary) {
  check_lists(vocabulary);
  const auto bpe = std::make_shared<const ScoredBpe>(vocabulary);
  TokenTable table;
  std::vector<AddedToken> added;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const auto& token = vocabulary.tokens[i];
    const auto type = vocabulary.types[i];
    const bool special = type == TokenType::control;
    if (special || type == TokenType::user_defined || type == TokenType::unknown) {
      added.push_back({.content = token, .id = static_cast<std::int32_t>(i), .special = special});
    }
    table.text.push_back(text_of_piece(token, type));
    table.special.push_back(special);
  }
  table.bos = vocabulary.bos;
  table.eos = vocabulary.eos;
  table.add_bos = vocabulary.add_bos;
  table.leading_space = vocabulary.add_space_prefix;

  const auto pipeline = std::make_shared<TokenizerPipeline>();
  if (vocabulary.add_space_prefix) pipeline->normalizer.emplace_back(PrependText{" "});
  pipeline->normalizer.emplace_back(ReplaceText{" ", std::string(space_symbol)});
  pipeline->repairs_utf8 = true;
  set_added_tokens(added, *pipeline);
  pipeline->model = [bpe](const Piece& piece, std::vector<std::int32_t>& ids) { bpe->encode(piece.text, ids); };
  return Tokenizer(std::move(table), [pipeline](std::string_view text) { return encode(*pipeline, text); });
}

}  // namespace csreft
