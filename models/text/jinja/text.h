// Python's strings: sequences of Unicode characters, held as UTF-8. Bytes that are no UTF-8 count as a character each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/unicode.h"

namespace csreft::jinja {

std::vector<std::string_view> characters(std::string_view text);
std::size_t count_characters(std::string_view text);

bool is_space(char32_t c);
bool is_letter(char32_t c);
bool is_digit(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);

// Each character by itself; only the sharp s becomes two.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string swapped_case(std::string_view text);
// The first character upper, the rest lower.
std::string capitalize(std::string_view text);
// Each run of letters capitalized.
std::string title(std::string_view text);

// Without characters that `chars` has, or spaces if it is null, at the ends asked for.
std::string_view strip(std::string_view text, const std::string* chars, bool left, bool right);

std::string repr_of_text(std::string_view text);  // Python's repr
std::string number_text(double value);            // Python's repr

}  // namespace csreft::jinja
