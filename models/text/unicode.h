// What Unicode says of characters and texts: UTF-8, normal forms, lower case. By utf8proc.
#pragma once

#include <string>
#include <string_view>

namespace csreft {

// The text with each byte that is no UTF-8 as U+FFFD.
std::string repaired_utf8(std::string_view text);

// The code point of the first character; a byte that is no UTF-8 stands for itself. `text` is not empty.
char32_t code_point(std::string_view text);
void append_utf8(std::string& text, char32_t code_point);

// For valid UTF-8:

// The length of the character that a text, which is not empty, ends with.
std::size_t last_character_length(std::string_view text);
// Unicode's White_Space.
bool is_white_space(char32_t code_point);
// A letter, a mark that belongs to one, or a digit or number of any script.
bool is_word_character(char32_t code_point);
bool is_ascii(std::string_view text);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
std::string normal_form(std::string_view text, NormalForm form);
// Each character by itself: a final sigma is as any other.
std::string lower_case(std::string_view text);

// Every occurrence of `from`, which is not empty, from the left.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

}  // namespace csreft
