// Text to token ids and back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace csreft {

// Numbered as in SentencePiece's model files and in GGUF's tokenizer.ggml.token_type.
enum class TokenType : std::int32_t { normal = 1, unknown, control, user_defined, unused, byte };

// What ids stand for, whatever the algorithm that finds them.
struct TokenTable {
  std::vector<std::string> text;  // by id: the bytes that the token adds to decoded text
  std::vector<bool> special;      // by id: a mark of the format (BOS, end of turn), not part of the text
  std::optional<std::int32_t> bos, eos;
  bool add_bos = false;            // the model was trained with BOS in front of every text
  bool leading_space = false;      // encoding puts a space in front of the text, so decoding drops it
  std::vector<std::string> notes;  // what a user should be told of the files that it was read from, a line each
};

// A value: copies share one immutable vocabulary, which any number of threads may use.
class Tokenizer {
 public:
  using Encode = std::function<std::vector<std::int32_t>(std::string_view)>;

  // Throws Error unless table.text and table.special are of one size and bos and eos lie within them.
  Tokenizer(TokenTable table, Encode encode);

  // The ids of `text`, without BOS and EOS. Special and other added tokens are recognised wherever their text stands,
  // as Hugging Face does, in a user's words too. Invalid UTF-8 is encoded byte by byte or as U+FFFD.
  std::vector<std::int32_t> encode(std::string_view text) const;
  // Always valid UTF-8: what is no character becomes U+FFFD. An id without text adds nothing. Throws Error for an id
  // outside the vocabulary.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;
  // One token in print: a space is U+2423, control characters and parts of characters are <0xNN>, what has no text is
  // <id NNN>.
  std::string piece(std::int32_t id) const;
  // The bytes that the token stands for, perhaps a part of a character. Throws Error for an id outside the vocabulary.
  std::string_view bytes(std::int32_t id) const;

  // The same for a model with `size` ids, if these are more: ids beyond the vocabulary have no text.
  Tokenizer padded_to(std::size_t size) const;

  std::size_t vocab_size() const { return size_; }
  std::optional<std::int32_t> bos() const { return state_->table.bos; }
  std::optional<std::int32_t> eos() const { return state_->table.eos; }
  bool adds_bos() const { return state_->table.add_bos && bos(); }
  bool has_leading_space() const { return state_->table.leading_space; }
  const std::vector<std::string>& notes() const { return state_->table.notes; }
  // Throws Error for an id outside the vocabulary.
  bool is_special(std::int32_t id) const;

 private:
  struct State {
    TokenTable table;
    Encode encode;
  };
  std::size_t index(std::int32_t id) const;

  std::shared_ptr<const State> state_;
  std::size_t size_;
};

// Decodes ids as they arrive: emits whole characters only. All that it emits, joined, is what Tokenizer::decode gives.
class IncrementalDecoder {
 public:
  explicit IncrementalDecoder(Tokenizer tokenizer, bool skip_special = true)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

  // The characters that `id` completes, perhaps none. Throws Error for an id outside the vocabulary.
  std::string push(std::int32_t id);
  // What is left at the end: U+FFFD if the text stops inside a character. The decoder is then as new.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  bool at_start_ = true;  // nothing decoded yet, so a leading space is the encoder's
  std::string pending_;   // the bytes of a character that is not whole yet
};

// For the implementations of tokenizers:

// The first character of some bytes, by table 3-7 of the Unicode standard.
struct Utf8Front {
  enum class Kind { whole, invalid, cut };  // cut: more bytes could make it whole
  Kind kind = Kind::whole;
  std::size_t length = 0;  // of the character, or of the ill-formed part that one U+FFFD replaces
};
// `bytes` is not empty.
Utf8Front utf8_front(std::string_view bytes);

constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

// The bytes on one line, as valid UTF-8: control characters and ill-formed bytes are <0xNN>. For errors and reports.
std::string printable(std::string_view bytes);

}  // namespace csreft
