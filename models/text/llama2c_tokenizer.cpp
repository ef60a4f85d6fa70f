#include "models/text/llama2c_tokenizer.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/whole_number.h"
#include "models/text/sentencepiece_tokenizer.h"

namespace csreft {
namespace {

constexpr std::string_view space_mark = "\u2581";
constexpr std::size_t first_byte_id = 3, n_bytes = 256;

// Reads the file front to back; reading past its end is an Error.
class Reader {
 public:
  Reader(std::string_view content, std::string where, std::int32_t n_pieces)
      : rest_(content), where_(std::move(where)), n_pieces_(n_pieces) {}

  template <typename T>
  T number() {
    T value;
    std::ranges::copy(text(sizeof value), reinterpret_cast<char*>(&value));
    return value;
  }
  std::string_view text(std::size_t bytes) {
    require(bytes <= rest_.size(), "{}: ends inside a token: expected {} tokens, as the model has", where_, n_pieces_);
    const auto taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  std::string where_;
  std::int32_t n_pieces_;
};

// A file with scores begins with the longest length and the score 0 of <unk>, one without them with <unk> itself.
bool has_scores(std::string_view content) { return !content.starts_with(std::string_view("\5\0\0\0<unk>", 9)); }

// The score of a piece in Llama 2's model, the only one that was written without: pieces are numbered in the order of
// their scores, but for runs of spaces, which are merged last.
float llama2_score(std::int32_t id, std::string_view piece) {
  const bool is_run = piece.size() > 1 && piece.find_first_not_of(' ') == piece.npos;
  return is_run ? -1e9F : -static_cast<float>(id);
}

// The pieces and scores, as they are in the file or have to be.
ScoredVocabulary read_pieces(std::string_view content, const std::string& where, std::int32_t n_pieces) {
  ScoredVocabulary vocabulary;
  vocabulary.source = where;
  Reader reader(content, where, n_pieces);
  const bool scored = has_scores(content);
  const auto longest = scored ? reader.number<std::int32_t>() : std::numeric_limits<std::int32_t>::max();
  for (std::int32_t id = 0; id < n_pieces; ++id) {
    const auto score = scored ? reader.number<float>() : 0.0F;
    const auto length = reader.number<std::int32_t>();
    require(length >= 0 && length <= longest, "{}: token {} has length {}: expected 0 to {}, the longest token's",
            where, id, length, longest);
    const auto piece = reader.text(static_cast<std::size_t>(length));
    vocabulary.tokens.emplace_back(piece);
    vocabulary.scores.push_back(scored ? score : llama2_score(id, piece));
  }
  require(reader.left() == 0, "{}: {} bytes follow token {}: expected exactly {} tokens, as the model has", where,
          reader.left(), n_pieces - 1, n_pieces);
  return vocabulary;
}

// U+0000 to U+00FF in UTF-8.
std::string latin_character(std::size_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0U | code >> 6), static_cast<char>(0x80U | (code & 0x3FU))};
}

// Byte tokens that are the characters themselves become "<0x00>" to "<0xFF>".
void name_bytes(std::vector<std::string>& tokens) {
  if (tokens.size() < first_byte_id + n_bytes) return;
  for (std::size_t byte = 0; byte < n_bytes; ++byte) {
    if (tokens[first_byte_id + byte] != latin_character(byte)) return;
  }
  for (std::size_t byte = 0; byte < n_bytes; ++byte) tokens[first_byte_id + byte] = fmt::format("<0x{:02X}>", byte);
}

void mark_spaces(std::string& token) {
  for (std::size_t at = 0; (at = token.find(' ', at)) != token.npos; at += space_mark.size()) {
    token.replace(at, 1, space_mark);
  }
}

TokenType type_of(std::size_t id, std::string_view token) {
  if (id < first_byte_id) return id == 0 ? TokenType::unknown : TokenType::control;
  const bool is_byte = token.size() == 6 && token.starts_with("<0x") && token.ends_with('>') &&
                       parse_whole_number<unsigned>(token.substr(3, 2), 16);
  return is_byte ? TokenType::byte : TokenType::normal;
}

}  // namespace

Tokenizer load_llama2c_tokenizer(const std::filesystem::path& file, std::int32_t vocab_size) {
  require(std::filesystem::exists(file),
          "{0} is missing: expected the tokenizer beside the model, as tok{1}.bin, tokenizer.bin, tok{1}.model or "
          "tokenizer.model",
          file.string(), vocab_size);
  ScoredVocabulary vocabulary = read_pieces(read_text_file(file), file.string(), vocab_size);
  name_bytes(vocabulary.tokens);
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    mark_spaces(vocabulary.tokens[id]);
    vocabulary.types.push_back(type_of(id, vocabulary.tokens[id]));
  }
  return make_scored_bpe_tokenizer(vocabulary);
}

}  // namespace csreft
