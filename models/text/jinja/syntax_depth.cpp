#include "models/text/jinja/syntax_depth.h"

#include <algorithm>

namespace csreft::jinja {
namespace {

int depth_of(const ExpressionPtr& expression) { return expression == nullptr ? 0 : expression->depth; }
int depth_of(const Expressions& expressions) {
  int deepest = 0;
  for (const auto& expression : expressions) deepest = std::max(deepest, depth_of(expression));
  return deepest;
}
int depth_of(const CallArguments& arguments) {
  int deepest = depth_of(arguments.positional);
  for (const auto& [name, value] : arguments.named) deepest = std::max(deepest, depth_of(value));
  return std::max({deepest, depth_of(arguments.rest), depth_of(arguments.names)});
}

}  // namespace

int depth_below(const Constant&) { return 0; }
int depth_below(const Name&) { return 0; }
int depth_below(const ListLiteral& form) { return depth_of(form.items); }
int depth_below(const DictLiteral& form) {
  int deepest = 0;
  for (const auto& [key, value] : form.entries) deepest = std::max({deepest, depth_of(key), depth_of(value)});
  return deepest;
}
int depth_below(const Unary& form) { return depth_of(form.operand); }
int depth_below(const Binary& form) { return std::max(depth_of(form.left), depth_of(form.right)); }
int depth_below(const Comparison& form) {
  int deepest = depth_of(form.first);
  for (const auto& [op, value] : form.rest) deepest = std::max(deepest, depth_of(value));
  return deepest;
}
int depth_below(const Concatenation& form) { return depth_of(form.parts); }
int depth_below(const Conditional& form) {
  return std::max({depth_of(form.condition), depth_of(form.value), depth_of(form.otherwise)});
}
int depth_below(const Attribute& form) { return depth_of(form.object); }
int depth_below(const Item& form) { return std::max(depth_of(form.object), depth_of(form.key)); }
int depth_below(const Slice& form) {
  return std::max({depth_of(form.object), depth_of(form.start), depth_of(form.stop), depth_of(form.step)});
}
int depth_below(const Call& form) { return std::max(depth_of(form.callee), depth_of(form.arguments)); }
int depth_below(const Filter& form) { return std::max(depth_of(form.value), depth_of(form.arguments)); }
int depth_below(const Test& form) { return std::max(depth_of(form.value), depth_of(form.arguments)); }

}  // namespace csreft::jinja
