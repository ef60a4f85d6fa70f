#include "models/text/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/base/error.h"
#include "models/text/jinja/text.h"
#include "models/text/tokenizer.h"

namespace csreft::jinja {
namespace {

using Kind = Token::Kind;

bool is_name_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || is_letter(byte) || is_digit(byte) || c == '_';
}

// Newlines as "\n", and without the last one.
std::string normalized(std::string_view source) {
  std::string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const std::size_t begin = next_opening();
      if (begin == source_.npos) {
        add_text(source_.substr(at_));
        move_to(source_.size());
        break;
      }
      read_text(begin);
      const char kind = source_[begin + 1];
      move_to(begin + 2);
      if (has_sign(at_)) move_to(at_ + 1);
      if (kind == '#') {
        skip_comment();
      } else if (kind == '{') {
        read_tag(Kind::output_begin, Kind::output_end, "}}");
      } else if (!read_raw()) {
        read_tag(Kind::tag_begin, Kind::tag_end, "%}");
      }
    }
    tokens_.push_back({Kind::end, "", line_});
    return std::move(tokens_);
  }

 private:
  std::string_view source_view(std::size_t at) const {
    return at < source_.size() ? std::string_view(source_).substr(at) : std::string_view();
  }
  std::string_view rest() const { return source_view(at_); }
  bool has_sign(std::size_t at) const { return at < source_.size() && (source_[at] == '-' || source_[at] == '+'); }

  void move_to(std::size_t at) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    at_ = at;
  }

  void skip_spaces() { move_to(behind_spaces(at_)); }

  std::size_t behind_spaces(std::size_t at) const {
    while (at < source_.size()) {
      const auto text = std::string_view(source_).substr(at, 4);
      if (!is_space(code_point(text))) break;
      at += utf8_front(text).length;
    }
    return at;
  }

  std::size_t next_opening() const {
    for (std::size_t i = source_.find('{', at_); i != source_.npos && i + 1 < source_.size();
         i = source_.find('{', i + 1)) {
      if (const char c = source_[i + 1]; c == '{' || c == '%' || c == '#') return i;
    }
    return source_.npos;
  }

  void add_text(std::string_view text) {
    if (!text.empty()) tokens_.push_back({Kind::text, std::string(text), line_});
  }

  // The text up to a tag that begins at `end`.
  void read_text(std::size_t end, bool is_end_of_raw = false) {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    const char sign = has_sign(end + 2) ? source_[end + 2] : ' ';
    if (sign == '-') {
      text = strip(text, nullptr, false, true);
    } else if (sign == ' ' && (is_end_of_raw || source_[end + 1] != '{')) {
      const std::size_t newline = text.rfind('\n');
      const std::size_t begin = newline == text.npos ? 0 : newline + 1;
      if ((begin > 0 || starts_line_) && strip(text.substr(begin), nullptr, true, false).empty()) {
        text = text.substr(0, begin);
      }
    }
    add_text(text);
    move_to(end);
    starts_line_ = false;
  }

  // What ends a tag, if it is here: "}}" or "%}" with its sign. Moves behind it and the white space that goes with it.
  bool read_closing(std::string_view closing) {
    const bool has_minus = rest().starts_with('-');
    const bool has_plus = rest().starts_with('+') && closing != "}}";
    if (!rest().substr(has_minus || has_plus ? 1 : 0).starts_with(closing)) return false;
    move_to(at_ + closing.size() + (has_minus || has_plus ? 1 : 0));
    const std::size_t behind = at_;
    if (has_minus) {
      skip_spaces();
    } else if (!has_plus && closing != "}}" && rest().starts_with('\n')) {
      move_to(at_ + 1);
    }
    starts_line_ = at_ > behind && source_[at_ - 1] == '\n';
    return true;
  }

  void skip_comment() {
    const int line = line_;
    while (!read_closing("#}")) {
      require(at_ < source_.size(), "line {}: a comment does not end: expected #}}", line);
      move_to(at_ + 1);
    }
  }

  // "{% raw %}text{% endraw %}", of which "{%" and its sign are read. False if it is another tag.
  bool read_raw() {
    const int line = line_;
    std::size_t at = behind_spaces(at_);
    if (!source_view(at).starts_with("raw")) return false;
    at = behind_spaces(at + 3);
    const bool has_minus = source_view(at).starts_with("-%}");
    if (!has_minus && !source_view(at).starts_with("%}")) return false;
    move_to(at + (has_minus ? 3 : 2));
    if (has_minus) skip_spaces();
    starts_line_ = source_[at_ - 1] == '\n';
    read_raw_text(line);
    return true;
  }

  void read_raw_text(int line) {
    for (std::size_t end = source_.find("{%", at_); end != source_.npos; end = source_.find("{%", end + 1)) {
      std::size_t at = behind_spaces(end + (has_sign(end + 2) ? 3 : 2));
      if (!source_view(at).starts_with("endraw")) continue;
      at = behind_spaces(at + 6);
      if (!source_view(at + (has_sign(at) ? 1 : 0)).starts_with("%}")) continue;
      read_text(end, true);
      move_to(at);
      read_closing("%}");
      return;
    }
    fail("line {}: a raw block does not end: expected {{% endraw %}}", line);
  }

  void read_tag(Kind begin, Kind end, std::string_view closing) {
    const int line = line_;
    tokens_.push_back({begin, "", line_});
    std::string open;  // brackets
    while (true) {
      const int line_of_end = line_;
      if (open.empty() && read_closing(closing)) {
        tokens_.push_back({end, std::string(closing), line_of_end});
        return;
      }
      skip_spaces();
      if (open.empty() && starts_closing(closing)) continue;
      require(at_ < source_.size(), "line {}: a tag does not end: expected {}", line, closing);
      read_token(open);
    }
  }

  bool starts_closing(std::string_view closing) const {
    const bool has_sign_here = rest().starts_with('-') || (rest().starts_with('+') && closing != "}}");
    return rest().substr(has_sign_here ? 1 : 0).starts_with(closing);
  }

  void read_token(std::string& open) {
    const char c = source_[at_];
    if (is_digit(static_cast<unsigned char>(c))) return read_number();
    if (c == '"' || c == '\'') return read_string(c);
    if (is_name_character(c)) return read_name();
    read_mark(open);
  }

  void read_name() {
    std::size_t end = at_;
    while (end < source_.size() && is_name_character(source_[end])) ++end;
    tokens_.push_back({Kind::name, source_.substr(at_, end - at_), line_});
    move_to(end);
  }

  // Digits from `at`, with single underscores between them: without the underscores. `at` ends behind them.
  std::string digits(std::size_t& at, int base) const {
    std::string out;
    const auto is_one = [&](std::size_t i) {
      if (i >= source_.size()) return false;
      const char c = source_[i];
      const int value = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
      return value < base;
    };
    while (is_one(at) || (at < source_.size() && source_[at] == '_' && is_one(at + 1))) {
      if (source_[at] != '_') out += source_[at];
      ++at;
    }
    return out;
  }

  void read_number() {
    std::size_t at = at_;
    int base = 10;
    if (source_[at] == '0' && at + 2 < source_.size()) {
      const char mark = static_cast<char>(source_[at + 1] | 32);
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    }
    if (base != 10) at += 2;
    std::string written = digits(at, base);
    bool is_whole = true;
    const bool follows_dot = at_ > 0 && source_[at_ - 1] == '.';
    if (base == 10 && !follows_dot) is_whole = !read_fraction(at, written);
    Token token{is_whole ? Kind::integer : Kind::number, written, line_};
    if (is_whole) {
      const auto [end, error] = std::from_chars(written.data(), written.data() + written.size(), token.integer, base);
      require(error == std::errc() && end == written.data() + written.size(),
              "line {}: {} is no number of 64 bits: expected a smaller one", line_, printable(written.substr(0, 40)));
      require(base != 10 || written.front() != '0' || token.integer == 0,
              "line {}: {} begins with a zero: expected a number", line_, printable(written.substr(0, 40)));
    } else {
      token.number = std::strtod(written.c_str(), nullptr);
    }
    tokens_.push_back(token);
    move_to(at);
  }

  // ".5", "e10" or ".5e10" from `at`, if it is there; appended to `written`.
  bool read_fraction(std::size_t& at, std::string& written) const {
    const std::size_t start = at;
    if (at + 1 < source_.size() && source_[at] == '.' && is_digit(static_cast<unsigned char>(source_[at + 1]))) {
      ++at;
      written += "." + digits(at, 10);
    }
    std::size_t e = at;
    if (e < source_.size() && (source_[e] | 32) == 'e') {
      ++e;
      const bool has_exponent_sign = has_sign(e);
      const std::size_t first = e + (has_exponent_sign ? 1 : 0);
      if (first < source_.size() && is_digit(static_cast<unsigned char>(source_[first]))) {
        const std::string sign(has_exponent_sign ? 1 : 0, source_[e]);
        at = first;
        written += "e" + sign + digits(at, 10);
      }
    }
    return at > start;
  }

  void read_string(char quote) {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    require(end < source_.size(), "line {}: a text does not end: expected {}", line_, quote);
    tokens_.push_back({Kind::string, unescaped(std::string_view(source_).substr(at_ + 1, end - at_ - 1)), line_});
    move_to(end + 1);
  }

  std::string unescaped(std::string_view written) const {
    std::string out;
    for (std::size_t i = 0; i < written.size(); ++i) {
      if (written[i] != '\\') {
        out += written[i];
        continue;
      }
      const char c = written[++i];
      constexpr std::string_view letters = "\\'\"abfnrtv", values = "\\'\"\a\b\f\n\r\t\v";
      if (const auto known = letters.find(c); known != letters.npos) {
        out += values[known];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const std::size_t n = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        append_escape(out, written.substr(i + 1, n), n, 16);
        i += n;
      } else if (c >= '0' && c <= '7') {
        std::size_t n = 1;
        while (n < 3 && i + n < written.size() && written[i + n] >= '0' && written[i + n] <= '7') ++n;
        append_escape(out, written.substr(i, n), n, 8);
        i += n - 1;
      } else {
        require(c != 'N', "line {}: \\N is not supported: expected \\u and four digits", line_);
        if (c != '\n') out += {'\\', c};
      }
    }
    return out;
  }

  void append_escape(std::string& out, std::string_view written, std::size_t n, int base) const {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(written.data(), written.data() + written.size(), value, base);
    require(written.size() == n && error == std::errc() && end == written.data() + n && value <= 0x10FFFF &&
                (value < 0xD800 || value > 0xDFFF),
            "line {}: the escape of '{}' in a text is no character: expected {} digits", line_, printable(written), n);
    append_utf8(out, value);
  }

  void read_mark(std::string& open) {
    constexpr std::string_view marks[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                          "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto found = std::ranges::find_if(marks, [&](std::string_view mark) { return rest().starts_with(mark); });
    require(found != std::end(marks), "line {}: '{}' has no meaning in a tag: expected an expression", line_,
            printable(rest().substr(0, utf8_front(rest()).length)));
    const char c = found->front();
    if (c == '(' || c == '[' || c == '{') open += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      require(!open.empty() && open.back() == c, "line {}: unexpected '{}': expected {}", line_, c,
              open.empty() ? "no closing bracket" : "'" + open.substr(open.size() - 1) + "'");
      open.pop_back();
    }
    tokens_.push_back({Kind::mark, std::string(*found), line_});
    move_to(at_ + found->size());
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool starts_line_ = true;  // the text that follows begins a line
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(normalized(source)).run(); }

}  // namespace csreft::jinja
