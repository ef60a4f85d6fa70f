#include "models/text/regex.h"

#include <array>
#include <charconv>

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): pcre2.h reads it.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/base/error.h"
#include "models/text/tokenizer.h"

namespace csreft {
namespace {

// Members of a class. PCRE2's own \s has U+180E, which Unicode's White_Space and Oniguruma lack; its \w has all numbers
// and no marks, where Oniguruma's has of the numbers that are no digits those of Latin-1.
constexpr std::string_view white_space = R"(\t-\r\x{85}\p{Z})";
constexpr std::string_view no_white_space =
    R"(\x00-\x08\x0E-\x1F!-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E})"
    R"(\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})";
constexpr std::string_view word = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";
constexpr std::string_view hex_digit = "0-9A-Fa-f";

// Spells a pattern of Oniguruma's Ruby syntax for PCRE2.
class Speller {
 public:
  Speller(std::string_view pattern, const std::string& source) : rest_(pattern), pattern_(pattern), source_(source) {}

  std::string spell() {
    while (!rest_.empty()) {
      const bool opens = rest_.front() == '[';
      if (rest_.front() == '\\' && rest_.size() > 1) {
        escape();
      } else if (opens || class_depth_ > 0) {
        class_character();
      } else if (rest_.front() == '{') {
        interval();
      } else if (rest_.starts_with("(?")) {
        group_options();
      } else {
        copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what, std::string_view expected) const {
    fail("{}: {} is not supported in the pattern {}: expected {}", source_, what, printable(pattern_), expected);
  }
  void copy(std::size_t length) {
    out_ += rest_.substr(0, length);
    rest_.remove_prefix(std::min(length, rest_.size()));
  }
  void members(std::string_view set, bool negated) {
    if (class_depth_ == 0) {
      out_ += fmt::format("[{}{}]", negated ? "^" : "", set);
    } else {
      if (negated) refuse("a negated class within a class", "the characters themselves");
      out_ += set;
    }
  }

  void escape() {
    const char escaped = rest_[1];
    if (std::string_view("sSwWdDhHbBu").find(escaped) == std::string_view::npos ||
        (class_depth_ > 0 && (escaped == 'b' || escaped == 'B'))) {
      return copy(2);
    }
    rest_.remove_prefix(2);
    switch (escaped) {
      case 's': return members(white_space, false);
      case 'S': return members(no_white_space, false);
      case 'w': return members(word, false);
      case 'W': return members(word, true);
      case 'd': out_ += R"(\p{Nd})"; return;
      case 'D': out_ += R"(\P{Nd})"; return;
      case 'h': return members(hex_digit, false);
      case 'H': return members(hex_digit, true);
      case 'u': return unicode_escape();
      default: return word_boundary(escaped == 'b');
    }
  }
  // \uHHHH
  void unicode_escape() {
    if (rest_.size() < 4) refuse("\\u without four digits", "\\uHHHH");
    out_ += fmt::format("\\x{{{}}}", rest_.substr(0, 4));
    rest_.remove_prefix(4);
  }
  void word_boundary(bool is_one) {
    out_ += is_one ? fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", word)
                   : fmt::format("(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))", word);
  }

  void class_character() {
    if (rest_.starts_with("[:") && class_depth_ > 0) {
      const auto end = rest_.find(":]");
      return copy(end == rest_.npos ? rest_.size() : end + 2);
    }
    if (rest_.starts_with("&&")) refuse("an intersection of classes", "one class");
    if (rest_.front() == '[') {
      open_class();
    } else if (rest_.front() == ']') {
      if (--class_depth_ == 0) out_ += ']';
      rest_.remove_prefix(1);
    } else {
      copy(1);
    }
  }
  // A class within a class adds its members to it.
  void open_class() {
    const bool negated = rest_.starts_with("[^");
    if (negated && class_depth_ > 0) refuse("a negated class within a class", "the characters themselves");
    if (class_depth_++ == 0) out_ += negated ? "[^" : "[";
    rest_.remove_prefix(negated ? 2 : 1);
    if (rest_.starts_with(']')) {
      out_ += "\\]";
      rest_.remove_prefix(1);
    }
  }

  // {n}, {n,}, {,m} or {n,m}. Of these + makes no possessive in Ruby: X{1,3}+ is (X{1,3})+, which is X+.
  void interval() {
    const auto end = rest_.find('}');
    const auto inside = end == rest_.npos ? std::string_view() : rest_.substr(1, end - 1);
    if (inside.empty() || inside == "," || inside.find_first_not_of("0123456789,") != inside.npos) return copy(1);
    const auto low = inside.starts_with(',') ? std::string_view("0") : inside.substr(0, inside.find(','));
    rest_.remove_prefix(end + 1);
    if (!rest_.starts_with('+')) {
      out_ += fmt::format("{{{}{}}}", inside.starts_with(',') ? "0" : "", inside);
      return;
    }
    if (low != "0" && low != "1") refuse("+ after an interval", "an interval that starts at 0 or 1");
    out_ += low == "0" ? "*" : "+";
    rest_.remove_prefix(1);
  }

  // Ruby's (?m) is what others call (?s).
  void group_options() {
    const auto end = rest_.find_first_not_of("imx-", 2);
    const bool options = end != rest_.npos && end > 2 && (rest_[end] == ':' || rest_[end] == ')');
    if (!options) return copy(2);
    for (const char c : rest_.substr(0, end)) out_ += c == 'm' ? 's' : c;
    rest_.remove_prefix(end);
  }

  std::string_view rest_, pattern_;
  const std::string& source_;
  std::string out_;
  int class_depth_ = 0;
};

// A match's offsets go to the caller at once, so one place for them serves all expressions of a thread.
pcre2_match_data* match_data() {
  struct Free {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  };
  thread_local const std::unique_ptr<pcre2_match_data, Free> data(pcre2_match_data_create(1, nullptr));
  return data.get();
}

}  // namespace

struct Regex::Code {
  pcre2_code* code;
  explicit Code(pcre2_code* compiled) : code(compiled) {}
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(std::string_view pattern, std::string source) : source_(std::move(source)) {
  const auto spelled = Speller(pattern, source_).spell();
  int error = 0;
  PCRE2_SIZE position = 0;
  code_ = std::make_shared<const Code>(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelled.data()), spelled.size(),
                                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_MULTILINE,
                                                     &error, &position, nullptr));
  require(code_->code != nullptr, "{}: the pattern {} does not compile at character {}: expected a regular expression",
          source_, printable(spelled), position);
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);  // without it matching is only slower
}

std::string Regex::escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view(R"(\^$.|?*+()[]{}-#)").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::optional<Regex::Match> Regex::Search::next() {
  while (from_ <= text_.size()) {
    const int matched = pcre2_match(regex_.code_->code, reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), from_,
                                    0, match_data(), nullptr);
    if (matched == PCRE2_ERROR_NOMATCH) break;
    require(matched >= 0, "{}: the pre-tokenizer fails on a text of {} bytes (PCRE2 error {}): expected a shorter text",
            regex_.source_, text_.size(), matched);
    const auto* offsets = pcre2_get_ovector_pointer(match_data());
    const Match match{offsets[0], offsets[1]};
    if (match.begin == match.end && last_end_ == match.end) {
      from_ += from_ < text_.size() ? utf8_front(text_.substr(from_)).length : 1;
      continue;
    }
    last_end_ = from_ = match.end;
    return match;
  }
  from_ = text_.size() + 1;
  return std::nullopt;
}

}  // namespace csreft
