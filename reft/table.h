// Looking things up by name, in one way.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/nearest.h"

namespace csreft {

// The entry of `table` called `name`. Throws Error, listing the names and suggesting the nearest, if there is none;
// `what` says what was looked for.
template <typename Entry>
const Entry& find_named(std::span<const Entry* const> table, std::string_view what, std::string_view name) {
  const auto found = std::ranges::find_if(table, [&](const Entry* entry) { return entry->name == name; });
  if (found != table.end()) return **found;
  std::vector<std::string_view> names;
  for (const Entry* entry : table) names.push_back(entry->name);
  fail("unknown {} '{}'{}: expected one of {}", what, name, suggestion(name, names), fmt::join(names, ", "));
}

}  // namespace csreft
