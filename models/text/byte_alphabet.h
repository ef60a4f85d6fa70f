// How vocabularies write bytes: GPT-2's alphabet, a printable character for each, in which byte-level ones are
// written, and SentencePiece's pieces of one byte.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace csreft {

// By byte, its character as UTF-8: itself for printable Latin-1, U+0100 onwards for the 68 others.
const std::array<std::string, 256>& byte_alphabet();

std::string in_byte_alphabet(std::string_view bytes);

// The bytes that a token's characters stand for; the token itself if it is not written in the alphabet.
std::string bytes_of_token(std::string_view token);

// "<0x0A>" for byte 10, and the byte of a piece that is written so.
std::string byte_piece(std::size_t byte);
std::optional<char> byte_of_piece(std::string_view piece);

}  // namespace csreft
