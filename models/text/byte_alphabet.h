// GPT-2's alphabet: a printable character for each byte, in which byte-level vocabularies are written.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace csreft {

// By byte, its character as UTF-8: itself for printable Latin-1, U+0100 onwards for the 68 others.
const std::array<std::string, 256>& byte_alphabet();

std::string in_byte_alphabet(std::string_view bytes);

// The bytes that a token's characters stand for; the token itself if it is not written in the alphabet.
std::string bytes_of_token(std::string_view token);

}  // namespace csreft
