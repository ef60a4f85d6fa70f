#include "models/text/jinja/text.h"

#include <charconv>
#include <clocale>
#include <cmath>
#include <cwctype>

#include <fmt/format.h>

#include "models/text/tokenizer.h"

namespace csreft::jinja {
namespace {

// glibc has this locale built in; its tables of characters are Unicode's.
locale_t unicode_locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

wint_t wide(char32_t c) { return static_cast<wint_t>(c); }

char32_t to_upper(char32_t c) {
  if (c < 0x80 || unicode_locale() == nullptr) return c >= 'a' && c <= 'z' ? c - 32 : c;
  return static_cast<char32_t>(towupper_l(wide(c), unicode_locale()));
}

char32_t to_lower(char32_t c) {
  if (c < 0x80 || unicode_locale() == nullptr) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  return static_cast<char32_t>(towlower_l(wide(c), unicode_locale()));
}

void append_upper(std::string& out, std::string_view character) {
  const char32_t c = code_point(character);
  if (c == 0xDF) {
    out += "SS";
  } else if (to_upper(c) == c) {
    out += character;
  } else {
    append_utf8(out, to_upper(c));
  }
}

void append_lower(std::string& out, std::string_view character) {
  const char32_t c = code_point(character);
  if (to_lower(c) == c) {
    out += character;
  } else {
    append_utf8(out, to_lower(c));
  }
}

// A title's first letter of the sharp s is "Ss".
void append_title(std::string& out, std::string_view character) {
  if (code_point(character) == 0xDF) {
    out += "Ss";
  } else {
    append_upper(out, character);
  }
}

}  // namespace

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto front = utf8_front(text);
    const std::size_t n = front.kind == Utf8Front::Kind::whole ? front.length : 1;
    out.push_back(text.substr(0, n));
    text.remove_prefix(n);
  }
  return out;
}

std::size_t count_characters(std::string_view text) {
  std::size_t n = 0;
  for (; !text.empty(); ++n) {
    const auto front = utf8_front(text);
    text.remove_prefix(front.kind == Utf8Front::Kind::whole ? front.length : 1);
  }
  return n;
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }

bool is_letter(char32_t c) {
  if (c < 0x80 || unicode_locale() == nullptr) return (c | 32) >= 'a' && (c | 32) <= 'z';
  return iswalpha_l(wide(c), unicode_locale()) != 0;
}

bool is_upper(char32_t c) { return to_lower(c) != c; }
bool is_lower(char32_t c) { return to_upper(c) != c || c == 0xDF; }

std::string upper(std::string_view text) {
  std::string out;
  for (const auto character : characters(text)) append_upper(out, character);
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for (const auto character : characters(text)) append_lower(out, character);
  return out;
}

std::string swapped_case(std::string_view text) {
  std::string out;
  for (const auto character : characters(text)) {
    (is_upper(code_point(character)) ? append_lower : append_upper)(out, character);
  }
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for (const auto character : characters(text)) (out.empty() ? append_title : append_lower)(out, character);
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (const auto character : characters(text)) {
    (in_word ? append_lower : append_title)(out, character);
    in_word = is_letter(code_point(character)) && !(code_point(character) >= '0' && code_point(character) <= '9');
  }
  return out;
}

std::string_view strip(std::string_view text, const std::string* chars, bool left, bool right) {
  const auto all = characters(text);
  std::vector<std::string_view> marks;
  if (chars != nullptr) marks = characters(*chars);
  const auto goes = [&](std::string_view character) {
    if (chars == nullptr) return is_space(code_point(character));
    for (const auto mark : marks) {
      if (mark == character) return true;
    }
    return false;
  };
  std::size_t begin = 0, end = all.size();
  while (left && begin < end && goes(all[begin])) ++begin;
  while (right && end > begin && goes(all[end - 1])) --end;
  if (begin == end) return {};
  const auto first = static_cast<std::size_t>(all[begin].data() - text.data());
  return text.substr(first, static_cast<std::size_t>(all[end - 1].data() - text.data()) + all[end - 1].size() - first);
}

std::string repr_of_text(std::string_view text) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, quote);
  for (const auto character : characters(text)) {
    const char32_t c = code_point(character);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      out += character;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else if ((c != ' ' && is_space(c)) || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
               (c >= 0x2060 && c <= 0x206F) || (c >= 0xE000 && c <= 0xF8FF) || c == 0xFEFF) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += character;
    }
  }
  return out + quote;
}

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view shown(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = shown.find('e');
  int exponent = 0;
  const auto digits_of_exponent = shown.substr(e + (shown[e + 1] == '+' ? 2 : 1));
  std::from_chars(digits_of_exponent.data(), digits_of_exponent.data() + digits_of_exponent.size(), exponent);
  const bool negative = shown.front() == '-';
  std::string digits;
  for (const char c : shown.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  std::string out = negative ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    out += digits.substr(0, 1);
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

}  // namespace csreft::jinja
