#include "models/text/llama2c_tokenizer.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "models/text/byte_alphabet.h"
#include "models/text/sentencepiece_tokenizer.h"
#include "models/text/unicode.h"

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

// Byte tokens that are the characters themselves become "<0x00>" to "<0xFF>".
void name_bytes(std::vector<std::string>& tokens) {
  if (tokens.size() < first_byte_id + n_bytes) return;
  for (std::size_t byte = 0; byte < n_bytes; ++byte) {
    std::string character;
    append_utf8(character, static_cast<char32_t>(byte));
    if (tokens[first_byte_id + byte] != character) return;
  }
  for (std::size_t byte = 0; byte < n_bytes; ++byte) tokens[first_byte_id + byte] = byte_piece(byte);
}

TokenType type_of(std::size_t id, std::string_view token) {
  if (id < first_byte_id) return id == 0 ? TokenType::unknown : TokenType::control;
  return byte_of_piece(token) ? TokenType::byte : TokenType::normal;
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
    vocabulary.tokens[id] = replace_all(vocabulary.tokens[id], " ", space_mark);
    vocabulary.types.push_back(type_of(id, vocabulary.tokens[id]));
  }
  return make_scored_bpe_tokenizer(vocabulary);
}

}  // namespace csreft
