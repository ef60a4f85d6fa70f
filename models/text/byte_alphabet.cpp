#include "models/text/byte_alphabet.h"

#include <fmt/format.h>

#include "core/base/whole_number.h"
#include "models/text/tokenizer.h"
#include "models/text/unicode.h"

namespace csreft {
namespace {

constexpr std::size_t alphabet_end = 0x144;

// Code points by byte.
constexpr std::array<char32_t, 256> make_code_points() {
  std::array<char32_t, 256> alphabet{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool is_printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    alphabet[byte] = is_printable ? byte : next++;
  }
  return alphabet;
}

constexpr auto code_points = make_code_points();

// Bytes by code point; -1 for what is not in the alphabet.
constexpr std::array<int, alphabet_end> make_bytes() {
  std::array<int, alphabet_end> bytes{};
  for (auto& byte : bytes) byte = -1;
  for (std::size_t byte = 0; byte < 256; ++byte) bytes[code_points[byte]] = static_cast<int>(byte);
  return bytes;
}

constexpr auto bytes_by_code_point = make_bytes();

}  // namespace

const std::array<std::string, 256>& byte_alphabet() {
  static const auto alphabet = [] {
    std::array<std::string, 256> characters;
    for (std::size_t byte = 0; byte < 256; ++byte) append_utf8(characters[byte], code_points[byte]);
    return characters;
  }();
  return alphabet;
}

std::string in_byte_alphabet(std::string_view bytes) {
  std::string written;
  written.reserve(bytes.size() * 2);
  for (const char byte : bytes) written += byte_alphabet()[static_cast<unsigned char>(byte)];
  return written;
}

std::string bytes_of_token(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (auto rest = token; !rest.empty();) {
    const auto [kind, length] = utf8_front(rest);
    const auto c = kind == Utf8Front::Kind::whole ? code_point(rest.substr(0, length)) : alphabet_end;
    if (c >= alphabet_end || bytes_by_code_point[c] < 0) return std::string(token);
    bytes += static_cast<char>(bytes_by_code_point[c]);
    rest.remove_prefix(length);
  }
  return bytes;
}

std::string byte_piece(std::size_t byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<char> byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  const auto value = parse_whole_number<unsigned>(piece.substr(3, 2), 16);
  return value ? std::optional(static_cast<char>(*value)) : std::nullopt;
}

}  // namespace csreft
