// What templates call by name: filters, tests, methods and global functions.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/jinja/run.h"

namespace csreft::jinja {

using FilterFunction = Value (*)(Run&, const Value&, const Arguments&);
struct NamedFilter {
  std::string_view name;
  FilterFunction apply;
};
std::span<const NamedFilter> text_filters();
std::span<const NamedFilter> layout_filters();
std::span<const NamedFilter> sequence_filters();

// Each throws Error for an unknown name.
Value apply_filter(Run& run, const std::string& name, const Value& value, const Arguments& arguments);
bool apply_test(Run& run, const std::string& name, const Value& value, const Arguments& arguments);

// A method bound to its object; nothing if the type has none of the name. Throws Error for one that changes the object.
std::optional<Value> find_method(const Value& object, std::string_view name);
// A function or nothing.
std::optional<Value> find_global(std::string_view name);

// The arguments in the order of `names`, nothing where one is left out. Throws Error, which names `function`, for more
// or others than these.
std::vector<std::optional<Value>> bind(const Arguments& arguments, std::string_view function,
                                       std::initializer_list<std::string_view> names);
// A bound argument as a whole number or a text, or the fallback. Throws Error for another type.
std::int64_t integer_or(const std::optional<Value>& argument, std::int64_t fallback);
std::string text_or(const std::optional<Value>& argument, std::string_view fallback);

// In `whole`, `old` replaced by `replacement`, the first `most` times; below zero: each time.
std::string replaced(Run& run, std::string_view whole, std::string_view old, std::string_view replacement,
                     std::int64_t most);

}  // namespace csreft::jinja
