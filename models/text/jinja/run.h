// One rendering of a template: its variables, its limits, and what its functions may ask for.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/text/jinja/syntax.h"
#include "models/text/jinja/value.h"

namespace csreft::jinja {

// A template that exceeds one of these is in error. A step is an expression or a statement that is evaluated, or 32
// bytes or members that one of them walks.
inline constexpr std::size_t max_steps = 10'000'000;
inline constexpr std::size_t max_output_bytes = std::size_t{1} << 24;
inline constexpr std::size_t max_made_bytes = std::size_t{1} << 28;  // of all texts and lists that it makes
inline constexpr int max_run_depth = 1000;                           // of expressions, blocks and macros in each other

struct Scope {
  std::unordered_map<std::string, Value> variables;
  std::shared_ptr<Scope> parent;
};

// A loop as its body sees it. Members that do not pass the loop's condition are left out as they are reached.
struct Loop {
  std::vector<Value> items;
  std::function<bool(const Value&)> passes;  // null: all do
  std::size_t next = 0;                      // in `items`
  std::vector<Value> ahead;                  // members that were looked at before their turn, the next one last
  Value previous, current;
  std::size_t index = 0;                      // from 1
  std::optional<std::vector<Value>> watched;  // what loop.changed() was last called with

  // Makes the next member the current one; false at the end.
  bool advance();
  bool fetch(Value& value);
  const Value* peek();
  std::size_t length();
};

class Run {
 public:
  explicit Run(std::time_t now) : now_(now) {}
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // Throws Error, which names the line.
  std::string render(const Statements& statements, const std::vector<std::pair<std::string, Value>>& variables);

  // For functions, filters, tests and methods:
  std::time_t now() const { return now_; }
  // Each throws Error beyond its limit.
  void charge(std::size_t bytes_or_members);
  void charge_made(std::size_t bytes);
  Value made(std::string text);
  Value made(std::vector<Value> items, Sequence::Kind kind = Sequence::Kind::list);
  Namespace* make_namespace();
  // Whether the values are others than at the call before, or there was none.
  bool changed(const std::shared_ptr<Loop>& loop, std::vector<Value> values);
  Value call(const Value& callee, Arguments& arguments);
  Value attribute(const Value& object, const std::string& name);  // object.name
  Value item(const Value& object, const Value& key);              // object[key]

 private:
  enum class Flow { on, broke, continued };

  Flow execute(const Statements& statements);
  Flow execute(const Statement& statement);
  Flow execute_form(const PlainText& form);
  Flow execute_form(const Output& form);
  Flow execute_form(const If& form);
  Flow execute_form(const For& form);
  Flow execute_form(const Set& form);
  Flow execute_form(const SetBlock& form);
  Flow execute_form(const Macro& form);
  Flow execute_form(const CallBlock& form);
  Flow execute_form(const FilterBlock& form);
  Flow execute_form(const With& form);
  Flow execute_form(const Break&) { return Flow::broke; }
  Flow execute_form(const Continue&) { return Flow::continued; }

  Value evaluate(const Expression& expression);
  Value evaluate_form(const Constant& form) { return form.value; }
  Value evaluate_form(const Name& form);
  Value evaluate_form(const ListLiteral& form);
  Value evaluate_form(const DictLiteral& form);
  Value evaluate_form(const Unary& form);
  Value evaluate_form(const Binary& form);
  Value evaluate_form(const Comparison& form);
  Value evaluate_form(const Concatenation& form);
  Value evaluate_form(const Conditional& form);
  Value evaluate_form(const Attribute& form);
  Value evaluate_form(const Item& form);
  Value evaluate_form(const Slice& form);
  Value evaluate_form(const Call& form);
  Value evaluate_form(const Filter& form);
  Value evaluate_form(const Test& form);

  Arguments evaluate_arguments(const CallArguments& arguments);
  void assign(const Target& target, const Value& value);
  void write(std::string_view text);
  // What statements write, in a scope of their own.
  std::string capture(const Statements& statements);
  // A filter's value, where the filter at its innermost place is applied to a block's text.
  Value filtered(const Expression* filter, std::string block);
  Value make_macro(const std::shared_ptr<const MacroBody>& macro);
  // The parameters' values, nothing where there is none, and those of `special` names.
  std::vector<std::optional<Value>> bind_macro(const MacroBody& macro, Arguments& arguments,
                                               std::unordered_map<std::string, Value>& special);
  Value call_macro(const MacroBody& macro, const std::shared_ptr<Scope>& around, Arguments& arguments);

  std::time_t now_;
  int line_ = 1, depth_ = 0;
  std::size_t steps_ = 0, made_bytes_ = 0;
  std::string* out_ = nullptr;
  Value block_text_;
  std::shared_ptr<Scope> scope_;
  std::vector<std::shared_ptr<Scope>> captured_;  // scopes that a macro in them refers to
  std::vector<std::unique_ptr<Namespace>> namespaces_;
  std::vector<std::shared_ptr<Loop>> watched_;  // which may hold themselves
};

}  // namespace csreft::jinja
