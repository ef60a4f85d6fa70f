// Members of the values of a run: attributes, items and methods.
#include <algorithm>

#include "core/base/error.h"
#include "models/text/jinja/builtins.h"
#include "models/text/jinja/operators.h"
#include "models/text/jinja/run.h"

namespace csreft::jinja {
namespace {

Value loop_attribute(const std::shared_ptr<Loop>& shared, const std::string& name) {
  Loop& loop = *shared;
  if (name == "index") return integer(loop.index);
  if (name == "index0") return integer(loop.index - 1);
  if (name == "first") return loop.index == 1;
  if (name == "last") return loop.peek() == nullptr;
  if (name == "length") return integer(loop.length());
  if (name == "revindex") return integer(loop.length() - loop.index + 1);
  if (name == "revindex0") return integer(loop.length() - loop.index);
  if (name == "depth" || name == "depth0") return integer(name == "depth" ? 1 : 0);
  if (name == "previtem") return loop.index == 1 ? undefined("there is no previous item") : loop.previous;
  if (name == "nextitem") {
    const Value* next = loop.peek();
    return next == nullptr ? undefined("there is no next item") : *next;
  }
  if (name == "cycle") {
    return function(name, [index = loop.index](Run&, Arguments& arguments) {
      require(!arguments.positional.empty(), "no items for cycling given: expected some");
      return arguments.positional[(index - 1) % arguments.positional.size()];
    });
  }
  if (name == "changed") {
    return function(name, [shared](Run& run, Arguments& arguments) {
      return run.changed(shared, std::move(arguments.positional));
    });
  }
  return undefined("'LoopContext object' has no attribute '" + name + "'");
}

Value no_attribute(const Value& object, const std::string& name) {
  return undefined("'" + type_name(object) + " object' has no attribute '" + name + "'");
}

}  // namespace

Value Run::attribute(const Value& object, const std::string& name) {
  require(!object.is<Undefined>(), "{}", object.is<Undefined>() ? *object.as<Undefined>().why : "");
  if (object.is<std::shared_ptr<Loop>>()) return loop_attribute(object.as<std::shared_ptr<Loop>>(), name);
  if (object.is<Namespace*>()) {
    const auto& members = object.as<Namespace*>()->members;
    const auto found = std::ranges::find(members, name, [](const auto& member) { return member.first; });
    return found == members.end() ? no_attribute(object, name) : found->second;
  }
  if (auto method = find_method(object, name)) return *method;
  if (object.is_sequence() && object.sequence().is_group && (name == "grouper" || name == "list")) {
    return object.sequence().items[name == "list" ? 1 : 0];
  }
  if (object.is_dict()) {
    if (const Value* member = find(object.dict(), text(name))) return *member;
  }
  return no_attribute(object, name);
}

Value Run::item(const Value& object, const Value& key) {
  require(!object.is<Undefined>(), "{}", object.is<Undefined>() ? *object.as<Undefined>().why : "");
  if (object.is_dict() && !key.is_dict() && !(key.is_sequence() && key.sequence().kind != Sequence::Kind::tuple)) {
    charge(weight(key));
    if (const Value* member = find(object.dict(), key)) return *member;
  }
  const auto index = as_integer(key);
  if (index && object.is_text()) {
    charge(object.text().size());
    const auto items = iterate(object);
    if (const Value* member = member_at(items, *index)) return *member;
  }
  if (index && object.is_sequence()) {
    using enum Sequence::Kind;
    const auto& walked = object.sequence();
    const bool has_index = walked.kind == list || walked.kind == tuple || walked.kind == range;
    if (const Value* member = has_index ? member_at(walked.items, *index) : nullptr) return *member;
  }
  if (key.is_text())
    return object.is_dict() ? find_method(object, key.text()).value_or(no_attribute(object, key.text()))
                            : attribute(object, key.text());
  return undefined("'" + type_name(object) + " object' has no such element");
}

}  // namespace csreft::jinja
