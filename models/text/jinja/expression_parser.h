// Expressions of the template language, with Jinja's precedence.
#pragma once

#include "models/text/jinja/syntax.h"
#include "models/text/jinja/token_stream.h"

namespace csreft::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // Each throws Error, which names the line.
  ExpressionPtr parse() { return parse_conditional(); }
  // Without `a if b else c`, which is the loop's own condition.
  ExpressionPtr parse_plain() { return parse_or(); }
  // "a, b" is a tuple. `end`: a name that ends it, beside the tag's end.
  ExpressionPtr parse_tuple(bool with_conditional = true, std::string_view end = "");
  Target parse_target(bool with_members, std::string_view end = "");
  Target parse_name_target();
  // "| name(arguments) | ...", applied to the text of a block; null if there is none.
  ExpressionPtr parse_block_filters(bool starts_with_name);
  // What was named since, or is counted as if it was.
  MacroNames mentioned() const { return mentioned_; }
  void set_mentioned(MacroNames names) { mentioned_ = names; }

 private:
  template <typename Form>
  ExpressionPtr make(int line, Form form);
  ExpressionPtr parse_conditional();
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_comparison();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concatenation();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filters = true);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr value);
  ExpressionPtr parse_subscript(ExpressionPtr object);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr value);
  ExpressionPtr parse_filter(ExpressionPtr value);
  ExpressionPtr parse_test(ExpressionPtr value);
  CallArguments parse_arguments();
  void parse_argument(CallArguments& arguments);
  Target parse_one_target(bool with_members);
  template <typename Parse>
  ExpressionPtr parse_left(Parse operand, std::initializer_list<std::string_view> marks);

  TokenStream& tokens_;
  MacroNames mentioned_;
  int nesting_ = 0;  // of brackets, and of what recurses without
};

}  // namespace csreft::jinja
