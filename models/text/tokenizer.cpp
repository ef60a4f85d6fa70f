#include "models/text/tokenizer.h"

#include <algorithm>

#include "core/base/error.h"

namespace csreft {

Utf8Front utf8_front(std::string_view bytes) {
  using Kind = Utf8Front::Kind;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) return {Kind::whole, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Kind::invalid, 1};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF.
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Kind::cut, i};
    if (at(i) < low || at(i) > high) return {Kind::invalid, i};
    low = 0x80;
    high = 0xBF;
  }
  return {Kind::whole, length};
}

std::string printable(std::string_view bytes) {
  std::string printed;
  while (!bytes.empty()) {
    const auto [kind, length] = utf8_front(bytes);
    const auto character = bytes.substr(0, length);
    const auto first = static_cast<unsigned char>(character[0]);
    if (kind == Utf8Front::Kind::whole && first >= 0x20 && first != 0x7F) {
      printed += character;
    } else {
      for (const char byte : character) printed += fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte));
    }
    bytes.remove_prefix(length);
  }
  return printed;
}

Tokenizer::Tokenizer(TokenTable table, Encode encode)
    : state_(std::make_shared<const State>(State{std::move(table), std::move(encode)})),
      size_(state_->table.text.size()) {
  const auto& ids = state_->table;
  require(ids.text.size() == ids.special.size(), "a tokenizer has {} texts and {} special flags: expected as many",
          ids.text.size(), ids.special.size());
  if (ids.bos) index(*ids.bos);
  if (ids.eos) index(*ids.eos);
}

std::size_t Tokenizer::index(std::int32_t id) const {
  require(id >= 0 && static_cast<std::size_t>(id) < vocab_size(),
          "token id {} is outside the tokenizer's vocabulary: expected 0 to {}", id,
          static_cast<std::int64_t>(vocab_size()) - 1);
  return static_cast<std::size_t>(id);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const { return state_->encode(text); }

Tokenizer Tokenizer::padded_to(std::size_t size) const {
  Tokenizer padded = *this;
  padded.size_ = std::max(size, size_);
  return padded;
}

std::string_view Tokenizer::bytes(std::int32_t id) const {
  const auto i = index(id);
  return i < state_->table.text.size() ? std::string_view(state_->table.text[i]) : std::string_view();
}

bool Tokenizer::is_special(std::int32_t id) const {
  const auto i = index(id);
  return i < state_->table.special.size() && state_->table.special[i];
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  IncrementalDecoder decoder(*this, skip_special);
  std::string text;
  for (const auto id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

std::string Tokenizer::piece(std::int32_t id) const {
  if (bytes(id).empty()) return fmt::format("<id {}>", id);
  std::string shown;
  for (const char c : printable(bytes(id))) {
    if (c == ' ') {
      shown += "\u2423";
    } else {
      shown += c;
    }
  }
  return shown;
}

std::string IncrementalDecoder::push(std::int32_t id) {
  auto bytes = tokenizer_.bytes(id);
  if (skip_special_ && tokenizer_.is_special(id)) bytes = {};
  if (at_start_ && !bytes.empty()) {
    if (tokenizer_.has_leading_space() && bytes.front() == ' ') bytes.remove_prefix(1);
    at_start_ = false;
  }
  pending_ += bytes;

  std::string text;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const auto [kind, length] = utf8_front(rest);
    if (kind == Utf8Front::Kind::cut) break;
    text += kind == Utf8Front::Kind::whole ? rest.substr(0, length) : replacement_character;
    rest.remove_prefix(length);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return text;
}

std::string IncrementalDecoder::finish() {
  const bool cut = !pending_.empty();
  pending_.clear();
  at_start_ = true;
  return cut ? std::string(replacement_character) : std::string();
}

}  // namespace csreft
