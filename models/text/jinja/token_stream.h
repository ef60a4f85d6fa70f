// Tokens one after another, as a parser takes them.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "models/text/jinja/lexer.h"
#include "models/text/tokenizer.h"

namespace csreft::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  // The last token, `end`, is never left.
  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& next() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }

  bool is(Token::Kind kind) const { return current().kind == kind; }
  bool is_mark(std::string_view mark) const { return is(Token::Kind::mark) && current().text == mark; }
  bool is_name(std::string_view name) const { return is(Token::Kind::name) && current().text == name; }
  bool skip_mark(std::string_view mark) { return is_mark(mark) && (next(), true); }
  bool skip_name(std::string_view name) { return is_name(name) && (next(), true); }

  void expect_mark(std::string_view mark) {
    if (!skip_mark(mark)) unexpected(mark);
  }
  void expect(Token::Kind kind, std::string_view what) {
    if (!is(kind)) unexpected(what);
    next();
  }
  std::string expect_name(std::string_view what) {
    if (!is(Token::Kind::name)) unexpected(what);
    return next().text;
  }
  [[noreturn]] void unexpected(std::string_view expected) const {
    const bool is_at_end = is(Token::Kind::end);
    fail("line {}: {}: expected {}", current().line,
         is_at_end ? "the template ends" : "unexpected '" + shown(current()) + "'", expected);
  }

 private:
  static std::string shown(const Token& token) {
    switch (token.kind) {
      case Token::Kind::output_begin: return "{{";
      case Token::Kind::tag_begin: return "{%";
      default: return printable(std::string_view(token.text).substr(0, 40));
    }
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace csreft::jinja
