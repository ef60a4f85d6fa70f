#include "models/text/jinja/expression_parser.h"

#include <algorithm>

#include "models/text/jinja/syntax_depth.h"

namespace csreft::jinja {
namespace {

using Kind = Token::Kind;

// Counts levels while it lives.
class Level {
 public:
  Level(int& level, int line) : level_(level) {
    require(++level_ <= max_syntax_depth, "line {}: an expression is nested deeper than {}: expected fewer levels",
            line, max_syntax_depth);
  }
  ~Level() { --level_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  int& level_;
};

}  // namespace

template <typename Form>
ExpressionPtr ExpressionParser::make(int line, Form form) {
  const int depth = depth_below(form) + 1;
  require(depth <= max_syntax_depth, "line {}: an expression is nested deeper than {}: expected fewer levels", line,
          max_syntax_depth);
  return std::make_unique<Expression>(Expression{line, depth, std::move(form)});
}

ExpressionPtr ExpressionParser::parse_conditional() {
  int line = tokens_.current().line;
  const Level level(nesting_, line);
  auto value = parse_or();
  while (tokens_.skip_name("if")) {
    auto condition = parse_or();
    auto otherwise = tokens_.skip_name("else") ? parse_conditional() : nullptr;
    value = make(line, Conditional{std::move(condition), std::move(value), std::move(otherwise)});
    line = tokens_.current().line;
  }
  return value;
}

ExpressionPtr ExpressionParser::parse_or() {
  auto left = parse_and();
  for (int line = tokens_.current().line; tokens_.skip_name("or"); line = tokens_.current().line) {
    left = make(line, Binary{"or", std::move(left), parse_and()});
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_and() {
  auto left = parse_not();
  for (int line = tokens_.current().line; tokens_.skip_name("and"); line = tokens_.current().line) {
    left = make(line, Binary{"and", std::move(left), parse_not()});
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_not() {
  const int line = tokens_.current().line;
  if (!tokens_.skip_name("not")) return parse_comparison();
  const Level level(nesting_, line);
  return make(line, Unary{"not", parse_not()});
}

ExpressionPtr ExpressionParser::parse_comparison() {
  const int line = tokens_.current().line;
  Comparison comparison{parse_sum(), {}};
  while (true) {
    const Token& token = tokens_.current();
    const bool is_order = token.kind == Kind::mark && (token.text == "==" || token.text == "!=" || token.text == "<" ||
                                                       token.text == "<=" || token.text == ">" || token.text == ">=");
    std::string op;
    if (is_order) {
      op = tokens_.next().text;
    } else if (tokens_.skip_name("in")) {
      op = "in";
    } else if (tokens_.is_name("not") && tokens_.ahead().kind == Kind::name && tokens_.ahead().text == "in") {
      tokens_.next();
      tokens_.next();
      op = "not in";
    } else {
      break;
    }
    comparison.rest.emplace_back(op, parse_sum());
  }
  if (comparison.rest.empty()) return std::move(comparison.first);
  return make(line, std::move(comparison));
}

// Operands with any of `marks` between them, of which the left ones are taken together first.
template <typename Parse>
ExpressionPtr ExpressionParser::parse_left(Parse operand, std::initializer_list<std::string_view> marks) {
  auto left = operand();
  while (tokens_.is(Kind::mark) && std::ranges::find(marks, tokens_.current().text) != marks.end()) {
    const int line = tokens_.current().line;
    const std::string op = tokens_.next().text;
    left = make(line, Binary{op, std::move(left), operand()});
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_sum() {
  return parse_left([this] { return parse_concatenation(); }, {"+", "-"});
}

ExpressionPtr ExpressionParser::parse_concatenation() {
  const int line = tokens_.current().line;
  Expressions parts;
  parts.push_back(parse_product());
  while (tokens_.skip_mark("~")) parts.push_back(parse_product());
  if (parts.size() == 1) return std::move(parts.front());
  return make(line, Concatenation{std::move(parts)});
}

ExpressionPtr ExpressionParser::parse_product() {
  return parse_left([this] { return parse_power(); }, {"*", "/", "//", "%"});
}

ExpressionPtr ExpressionParser::parse_power() {
  return parse_left([this] { return parse_unary(); }, {"**"});
}

ExpressionPtr ExpressionParser::parse_unary(bool with_filters) {
  const int line = tokens_.current().line;
  const Level level(nesting_, line);
  ExpressionPtr value;
  if (tokens_.is_mark("-") || tokens_.is_mark("+")) {
    const std::string op = tokens_.next().text;
    value = make(line, Unary{op, parse_unary(false)});
  } else {
    value = parse_primary();
  }
  value = parse_postfix(std::move(value));
  return with_filters ? parse_filters_and_tests(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::parse_primary() {
  const Token token = tokens_.current();
  const int line = token.line;
  if (token.kind == Kind::name) {
    tokens_.next();
    if (token.text == "true" || token.text == "True") return make(line, Constant{true});
    if (token.text == "false" || token.text == "False") return make(line, Constant{false});
    if (token.text == "none" || token.text == "None") return make(line, Constant{None{}});
    mentioned_.varargs |= token.text == "varargs";
    mentioned_.kwargs |= token.text == "kwargs";
    mentioned_.caller |= token.text == "caller";
    return make(line, Name{token.text});
  }
  if (token.kind == Kind::string) {
    std::string joined;
    while (tokens_.is(Kind::string)) joined += tokens_.next().text;
    return make(line, Constant{text(joined)});
  }
  if (token.kind == Kind::integer || token.kind == Kind::number) {
    tokens_.next();
    return make(line, Constant{token.kind == Kind::integer ? Value(token.integer) : Value(token.number)});
  }
  if (tokens_.skip_mark("(")) {
    auto value = tokens_.is_mark(")") ? make(line, ListLiteral{{}, true}) : parse_tuple();
    tokens_.expect_mark(")");
    return value;
  }
  if (tokens_.is_mark("[")) return parse_list();
  if (tokens_.is_mark("{")) return parse_dict();
  tokens_.unexpected("an expression");
}

ExpressionPtr ExpressionParser::parse_tuple(bool with_conditional, std::string_view end) {
  const int line = tokens_.current().line;
  Expressions items;
  bool is_tuple = false;
  while (true) {
    const bool is_end = tokens_.is(Kind::output_end) || tokens_.is(Kind::tag_end) || tokens_.is_mark(")") ||
                        (!end.empty() && tokens_.is_name(end));
    if (is_end && is_tuple) break;
    items.push_back(with_conditional ? parse() : parse_plain());
    if (!tokens_.skip_mark(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) return std::move(items.front());
  return make(line, ListLiteral{std::move(items), true});
}

ExpressionPtr ExpressionParser::parse_list() {
  const int line = tokens_.next().line;
  Expressions items;
  while (!tokens_.is_mark("]")) {
    if (!items.empty()) tokens_.expect_mark(",");
    if (!tokens_.is_mark("]")) items.push_back(parse());
  }
  tokens_.next();
  return make(line, ListLiteral{std::move(items), false});
}

ExpressionPtr ExpressionParser::parse_dict() {
  const int line = tokens_.next().line;
  DictLiteral dict;
  while (!tokens_.is_mark("}")) {
    if (!dict.entries.empty()) tokens_.expect_mark(",");
    if (tokens_.is_mark("}")) break;
    auto key = parse();
    tokens_.expect_mark(":");
    dict.entries.emplace_back(std::move(key), parse());
  }
  tokens_.next();
  return make(line, std::move(dict));
}

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr value) {
  while (true) {
    const int line = tokens_.current().line;
    if (tokens_.is_mark(".") || tokens_.is_mark("[")) {
      value = parse_subscript(std::move(value));
    } else if (tokens_.is_mark("(")) {
      value = make(line, Call{std::move(value), parse_arguments()});
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr object) {
  const int line = tokens_.current().line;
  if (tokens_.skip_mark(".")) {
    const Token token = tokens_.next();
    if (token.kind == Kind::name) return make(line, Attribute{std::move(object), token.text});
    require(token.kind == Kind::integer, "line {}: a dot is not followed by a name: expected a name or a number", line);
    return make(line, Item{std::move(object), make(line, Constant{token.integer})});
  }
  tokens_.next();
  const auto ends = [&] { return tokens_.is_mark("]") || tokens_.is_mark(":"); };
  auto start = ends() ? nullptr : parse();
  if (!tokens_.skip_mark(":")) {
    if (start == nullptr) tokens_.unexpected("a key");
    if (tokens_.is_mark(",")) {  // x[a, b]
      Expressions keys;
      keys.push_back(std::move(start));
      while (tokens_.skip_mark(",")) keys.push_back(parse());
      start = make(line, ListLiteral{std::move(keys), true});
    }
    tokens_.expect_mark("]");
    return make(line, Item{std::move(object), std::move(start)});
  }
  auto stop = ends() ? nullptr : parse();
  auto step = tokens_.skip_mark(":") && !ends() ? parse() : nullptr;
  tokens_.expect_mark("]");
  return make(line, Slice{std::move(object), std::move(start), std::move(stop), std::move(step)});
}

ExpressionPtr ExpressionParser::parse_filters_and_tests(ExpressionPtr value) {
  while (true) {
    const int line = tokens_.current().line;
    if (tokens_.is_mark("|")) {
      value = parse_filter(std::move(value));
    } else if (tokens_.is_name("is")) {
      value = parse_test(std::move(value));
    } else if (tokens_.is_mark("(")) {
      value = make(line, Call{std::move(value), parse_arguments()});
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::parse_filter(ExpressionPtr value) {
  tokens_.expect_mark("|");
  const int line = tokens_.current().line;
  const std::string name = tokens_.expect_name("the name of a filter");
  auto arguments = tokens_.is_mark("(") ? parse_arguments() : CallArguments{};
  return make(line, Filter{std::move(value), name, std::move(arguments)});
}

ExpressionPtr ExpressionParser::parse_block_filters(bool starts_with_name) {
  ExpressionPtr value;
  if (starts_with_name) {
    const int line = tokens_.current().line;
    const std::string name = tokens_.expect_name("the name of a filter");
    auto arguments = tokens_.is_mark("(") ? parse_arguments() : CallArguments{};
    value = make(line, Filter{nullptr, name, std::move(arguments)});
  }
  while (tokens_.is_mark("|")) value = parse_filter(std::move(value));
  return value;
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr value) {
  const int line = tokens_.next().line;
  const bool negated = tokens_.skip_name("not");
  const std::string name = tokens_.expect_name("the name of a test");
  CallArguments arguments;
  const Token& token = tokens_.current();
  const bool is_value = token.kind == Kind::string || token.kind == Kind::integer || token.kind == Kind::number ||
                        tokens_.is_mark("[") || tokens_.is_mark("{");
  const bool is_operand = token.kind == Kind::name && token.text != "else" && token.text != "or" && token.text != "and";
  if (tokens_.is_mark("(")) {
    arguments = parse_arguments();
  } else if (is_value || is_operand) {
    require(!tokens_.is_name("is"), "line {}: a test follows another: expected `and` between them", line);
    arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  auto test = make(line, Test{std::move(value), name, std::move(arguments)});
  return negated ? make(line, Unary{"not", std::move(test)}) : std::move(test);
}

CallArguments ExpressionParser::parse_arguments() {
  const Level level(nesting_, tokens_.current().line);
  tokens_.expect_mark("(");
  CallArguments arguments;
  bool is_first = true;
  while (!tokens_.is_mark(")")) {
    if (!is_first) tokens_.expect_mark(",");
    is_first = false;
    if (tokens_.is_mark(")")) break;
    parse_argument(arguments);
  }
  tokens_.next();
  return arguments;
}

void ExpressionParser::parse_argument(CallArguments& arguments) {
  const Token& ahead = tokens_.ahead();
  if (arguments.names != nullptr) tokens_.unexpected("no argument behind those of `**`");
  if (tokens_.skip_mark("**")) {
    arguments.names = parse();
  } else if (arguments.rest == nullptr && tokens_.skip_mark("*")) {
    arguments.rest = parse();
  } else if (tokens_.is(Kind::name) && ahead.kind == Kind::mark && ahead.text == "=") {
    const std::string name = tokens_.next().text;
    tokens_.next();
    arguments.named.emplace_back(name, parse());
  } else {
    if (!arguments.named.empty() || arguments.rest != nullptr) tokens_.unexpected("an argument with a name");
    arguments.positional.push_back(parse());
  }
}

Target ExpressionParser::parse_name_target() {
  const int line = tokens_.current().line;
  const std::string name = tokens_.expect_name("a name");
  const bool is_constant =
      name == "true" || name == "false" || name == "none" || name == "True" || name == "False" || name == "None";
  require(!is_constant, "line {}: {} is a constant: expected a name to assign to", line, name);
  return {line, name, "", {}};
}

Target ExpressionParser::parse_one_target(bool with_members) {
  const int line = tokens_.current().line;
  const Level level(nesting_, line);
  if (tokens_.skip_mark("(")) {
    Target target = parse_target(false);
    tokens_.expect_mark(")");
    return target;
  }
  Target target = parse_name_target();
  if (with_members && tokens_.skip_mark(".")) target.member = tokens_.expect_name("a member of a namespace");
  return target;
}

Target ExpressionParser::parse_target(bool with_members, std::string_view end) {
  Target tuple{tokens_.current().line, "", "", {}};
  bool is_tuple = false;
  while (true) {
    const bool is_end = tokens_.is(Kind::tag_end) || tokens_.is_mark(")") || tokens_.is_mark("=") ||
                        (!end.empty() && tokens_.is_name(end));
    if (is_end && is_tuple) break;
    tuple.parts.push_back(parse_one_target(with_members));
    if (!tokens_.skip_mark(",")) break;
    is_tuple = true;
  }
  return is_tuple ? std::move(tuple) : Target(std::move(tuple.parts.front()));
}

}  // namespace csreft::jinja
