#pragma once

#include <span>
#include <string>
#include <string_view>

namespace csreft {

// The candidate that the fewest edits make of `word`, the first of equals; empty if each needs more than (n + 1) / 3, n
// the number of letters of the longer word. An edit inserts, removes or replaces a letter or swaps two neighbours
// (optimal string alignment: Damerau 1964, no letter edited twice).
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// " (did you mean X?)", or nothing if no candidate is near: for the text of an Error.
std::string suggestion(std::string_view word, std::span<const std::string_view> candidates);

// Throws Error: there is no `what` called `name`, but these.
[[noreturn]] void fail_unknown(std::string_view what, std::string_view name, std::span<const std::string_view> names);

}  // namespace csreft
