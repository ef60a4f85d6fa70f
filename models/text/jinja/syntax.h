// A template as a tree of statements and expressions.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "models/text/jinja/value.h"

namespace csreft::jinja {

// Expressions and blocks nest no deeper.
inline constexpr int max_syntax_depth = 200;

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;
using Expressions = std::vector<ExpressionPtr>;

struct Constant {
  Value value;
};
struct Name {
  std::string name;
};
struct ListLiteral {
  Expressions items;
  bool is_tuple;
};
struct DictLiteral {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Unary {
  std::string op;  // "not", "-", "+"
  ExpressionPtr operand;
};
struct Binary {
  std::string op;  // "and", "or", "+", "-", "*", "/", "//", "%", "**"
  ExpressionPtr left, right;
};
struct Comparison {  // a < b <= c
  ExpressionPtr first;
  std::vector<std::pair<std::string, ExpressionPtr>> rest;  // "==", ..., "in", "not in"
};
struct Concatenation {  // a ~ b ~ c
  Expressions parts;
};
struct Conditional {
  ExpressionPtr condition, value, otherwise;  // otherwise: null if there is none
};
struct Attribute {
  ExpressionPtr object;
  std::string name;
};
struct Item {
  ExpressionPtr object, key;
};
struct Slice {
  ExpressionPtr object, start, stop, step;  // each of the three may be null
};
struct CallArguments {
  Expressions positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr rest, names;  // of `*rest` and `**names`; null if there is none
};
struct Call {
  ExpressionPtr callee;
  CallArguments arguments;
};
struct Filter {
  ExpressionPtr value;  // null for the text of a block
  std::string name;
  CallArguments arguments;
};
struct Test {
  ExpressionPtr value;
  std::string name;
  CallArguments arguments;
};

struct Expression {
  int line;
  int depth;  // of the tree below
  std::variant<Constant, Name, ListLiteral, DictLiteral, Unary, Binary, Comparison, Concatenation, Conditional,
               Attribute, Item, Slice, Call, Filter, Test>
      form;
};

// What is assigned to: a name, a member of a namespace, or several.
struct Target {
  int line;
  std::string name;
  std::string member;
  std::vector<Target> parts;  // not empty: the value is unpacked
};

struct Statement;
using Statements = std::vector<Statement>;

struct Parameter {
  std::string name;
  ExpressionPtr fallback;  // null: none
};
// Whether a macro's body has these names, which are then what its call gives beyond its parameters.
struct MacroNames {
  bool varargs = false, kwargs = false, caller = false;
};
struct MacroBody {
  std::string name;
  std::vector<Parameter> parameters;
  Statements body;
  MacroNames names;
};

struct PlainText {
  std::string text;
};
struct Output {
  ExpressionPtr value;
};
struct If {
  std::vector<std::pair<ExpressionPtr, Statements>> branches;
  Statements otherwise;
};
struct For {
  Target target;
  ExpressionPtr items, condition;  // condition: null if there is none
  Statements body, otherwise;
};
struct Set {
  Target target;
  ExpressionPtr value;
};
struct SetBlock {
  Target target;
  ExpressionPtr filter;  // null: none
  Statements body;
};
struct Macro {
  std::shared_ptr<const MacroBody> macro;
};
struct CallBlock {
  Call call;
  std::shared_ptr<const MacroBody> caller;
};
struct FilterBlock {
  ExpressionPtr filter;
  Statements body;
};
struct With {  // also {% generation %}, which has no variables
  std::vector<std::pair<Target, ExpressionPtr>> variables;
  Statements body;
};
struct Break {};
struct Continue {};

struct Statement {
  int line;
  std::variant<PlainText, Output, If, For, Set, SetBlock, Macro, CallBlock, FilterBlock, With, Break, Continue> form;
};

}  // namespace csreft::jinja
