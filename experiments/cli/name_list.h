#pragma once

#include <string>
#include <type_traits>

namespace csreft {

// "a, b, c": the names of a table's entries (values or pointers), for help texts.
template <typename Table>
std::string names_of(const Table& table) {
  std::string names;
  for (const auto& entry : table) {
    if (!names.empty()) names += ", ";
    if constexpr (std::is_pointer_v<std::remove_cvref_t<decltype(entry)>>) {
      names += entry->name;
    } else {
      names += entry.name;
    }
  }
  return names;
}

// A line "name: summary" for each entry of a table, of entries or of pointers to them, to follow a flag's own help.
template <typename Table>
std::string summaries_of(const Table& table) {
  std::string lines;
  const auto add = [&lines](const auto& entry) {
    lines += "\n  " + std::string(entry.name) + ": " + std::string(entry.summary);
  };
  for (const auto& entry : table) {
    if constexpr (std::is_pointer_v<std::remove_cvref_t<decltype(entry)>>) {
      add(*entry);
    } else {
      add(entry);
    }
  }
  return lines;
}

}  // namespace csreft
