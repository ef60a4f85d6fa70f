// Looking things up by name, in one way.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/error.h"
#include "core/base/nearest.h"

namespace csreft {

// The entry that an element of a table, a value or a pointer, stands for.
template <typename Element>
const std::remove_pointer_t<Element>& entry_of(const Element& element) {
  if constexpr (std::is_pointer_v<Element>) {
    return *element;
  } else {
    return element;
  }
}

// The names of those entries of a table, of values or of pointers, for which `chosen` is true.
template <typename Table, typename Predicate>
std::vector<std::string_view> names_where(const Table& table, Predicate chosen) {
  std::vector<std::string_view> names;
  for (const auto& element : table) {
    if (chosen(entry_of(element))) names.push_back(entry_of(element).name);
  }
  return names;
}

// The entry of `table`, of values or of pointers, called `name`. Throws Error, listing the names and suggesting the
// nearest, if there is none; `what` says what was looked for.
template <typename Element>
const std::remove_pointer_t<Element>& find_named(std::span<const Element> table, std::string_view what,
                                                 std::string_view name) {
  const auto found =
      std::ranges::find_if(table, [&](const Element& element) { return entry_of(element).name == name; });
  if (found != table.end()) return entry_of(*found);
  fail_unknown(what, name, names_where(table, [](const auto&) { return true; }));
}

}  // namespace csreft
