// The expressions of a run.
#include <algorithm>
#include <iterator>

#include "core/base/error.h"
#include "models/text/jinja/builtins.h"
#include "models/text/jinja/operators.h"
#include "models/text/jinja/run.h"
#include "models/text/tokenizer.h"

namespace csreft::jinja {

Value Run::evaluate(const Expression& expression) {
  require(depth_ < max_run_depth, "expressions, blocks and macros are nested deeper than {}: expected fewer levels",
          max_run_depth);
  ++depth_;
  line_ = expression.line;
  charge(0);
  Value value = std::visit([this](const auto& form) { return evaluate_form(form); }, expression.form);
  --depth_;
  return value;
}

Value Run::evaluate_form(const Name& form) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    const auto found = scope->variables.find(form.name);
    if (found != scope->variables.end()) return found->second;
    charge(0);
  }
  if (auto global = find_global(form.name)) return *global;
  return undefined("'" + form.name + "' is undefined");
}

Value Run::evaluate_form(const ListLiteral& form) {
  std::vector<Value> items;
  for (const auto& item : form.items) items.push_back(evaluate(*item));
  return made(std::move(items), form.is_tuple ? Sequence::Kind::tuple : Sequence::Kind::list);
}

Value Run::evaluate_form(const DictLiteral& form) {
  std::vector<std::pair<Value, Value>> entries;
  for (const auto& [key, value] : form.entries) {
    Value evaluated = evaluate(*key);
    entries.emplace_back(std::move(evaluated), evaluate(*value));
    charge_made(weight(entries.back().first) + 4 * sizeof(Value));
  }
  return dict(std::move(entries));
}

Value Run::evaluate_form(const Unary& form) {
  const Value operand = evaluate(*form.operand);
  if (form.op == "not") return !is_true(operand);
  if (form.op == "-") return negated(operand);
  return negated(negated(operand));
}

Value Run::evaluate_form(const Binary& form) {
  Value left = evaluate(*form.left);
  if (form.op == "and") return is_true(left) ? evaluate(*form.right) : left;
  if (form.op == "or") return is_true(left) ? left : evaluate(*form.right);
  const Value right = evaluate(*form.right);
  return arithmetic(*this, form.op, left, right);
}

Value Run::evaluate_form(const Comparison& form) {
  Value left = evaluate(*form.first);
  for (const auto& [op, operand] : form.rest) {
    Value right = evaluate(*operand);
    if (!compared(*this, op, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Run::evaluate_form(const Concatenation& form) {
  std::string joined;
  for (const auto& part : form.parts) {
    const Value value = evaluate(*part);
    charge_made(joined.size() + weight(value));
    joined += to_text(value);
  }
  return made(std::move(joined));
}

Value Run::evaluate_form(const Conditional& form) {
  if (is_true(evaluate(*form.condition))) return evaluate(*form.value);
  if (form.otherwise != nullptr) return evaluate(*form.otherwise);
  return undefined("the condition of an `if` without `else` is false");
}

Value Run::evaluate_form(const Attribute& form) { return attribute(evaluate(*form.object), form.name); }

Value Run::evaluate_form(const Item& form) {
  const Value object = evaluate(*form.object);
  return item(object, evaluate(*form.key));
}

Value Run::evaluate_form(const Slice& form) {
  const Value object = evaluate(*form.object);
  const auto bound = [&](const ExpressionPtr& expression) {
    return expression == nullptr ? Value(None{}) : evaluate(*expression);
  };
  const Value start = bound(form.start), stop = bound(form.stop), step = bound(form.step);
  return sliced(*this, object, start, stop, step);
}

Value Run::evaluate_form(const Call& form) {
  const Value callee = evaluate(*form.callee);
  Arguments arguments = evaluate_arguments(form.arguments);
  return call(callee, arguments);
}

Value Run::evaluate_form(const Filter& form) {
  const Value value = form.value == nullptr ? block_text_ : evaluate(*form.value);
  return apply_filter(*this, form.name, value, evaluate_arguments(form.arguments));
}

Value Run::evaluate_form(const Test& form) {
  const Value value = evaluate(*form.value);
  return apply_test(*this, form.name, value, evaluate_arguments(form.arguments));
}

Arguments Run::evaluate_arguments(const CallArguments& arguments) {
  Arguments out;
  for (const auto& argument : arguments.positional) out.positional.push_back(evaluate(*argument));
  for (const auto& [name, value] : arguments.named) out.named.emplace_back(name, evaluate(*value));
  if (arguments.rest != nullptr) {
    const Value rest = evaluate(*arguments.rest);
    charge_made(weight(rest));
    std::ranges::move(iterate(rest), std::back_inserter(out.positional));
  }
  if (arguments.names == nullptr) return out;
  const Value names = evaluate(*arguments.names);
  require(names.is_dict(), "`**` stands before a '{}': expected a dict", type_name(names));
  charge_made(weight(names));
  for (const auto& [name, value] : names.dict().entries) {
    require(name.is_text(), "`**` stands before a dict with a '{}' for a key: expected texts", type_name(name));
    const bool is_new = std::ranges::none_of(out.named, [&](const auto& given) { return given.first == name.text(); });
    require(is_new, "the argument '{}' is given twice: expected it once", printable(name.text()));
    out.named.emplace_back(name.text(), value);
  }
  return out;
}

}  // namespace csreft::jinja
