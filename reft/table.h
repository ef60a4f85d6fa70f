// Looking things up by name, in one way.
#pragma once

#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/error.h"
#include "core/nearest.h"

namespace csreft {

// The entry of `table`, of values or of pointers, called `name`. Throws Error, listing the names and suggesting the
// nearest, if there is none; `what` says what was looked for.
template <typename Element>
const std::remove_pointer_t<Element>& find_named(std::span<const Element> table, std::string_view what,
                                                 std::string_view name) {
  std::vector<std::string_view> names;
  for (const Element& element : table) {
    const std::remove_pointer_t<Element>* entry;
    if constexpr (std::is_pointer_v<Element>) {
      entry = element;
    } else {
      entry = &element;
    }
    if (entry->name == name) return *entry;
    names.push_back(entry->name);
  }
  fail("unknown {} '{}'{}: expected one of {}", what, name, suggestion(name, names), fmt::join(names, ", "));
}

}  // namespace csreft
