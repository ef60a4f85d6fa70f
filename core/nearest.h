#pragma once

#include <span>
#include <string>
#include <string_view>

namespace csreft {

// The candidate with the smallest edit distance (Levenshtein 1966) to `word`, or empty if none is near: more than a
// third of the longer word's letters would have to change.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// " (did you mean X?)", or nothing if no candidate is near: for the text of an Error.
std::string suggestion(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace csreft
