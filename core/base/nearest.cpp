#include "core/base/nearest.h"

#include <algorithm>
#include <vector>

#include <fmt/ranges.h>

#include "core/base/error.h"

namespace csreft {
namespace {

// d(i, j): edits between the first i letters of a and the first j of b.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> distances((a.size() + 1) * width);
  const auto d = [&](std::size_t i, std::size_t j) -> std::size_t& { return distances[i * width + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) d(i, 0) = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d(0, j) = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = d(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      d(i, j) = std::min({replaced, d(i - 1, j) + 1, d(i, j - 1) + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d(i, j) = std::min(d(i, j), d(i - 2, j - 2) + 1);
    }
  }
  return d(a.size(), b.size());
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t smallest = 0;
  for (const auto candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (3 * distance > std::max(word.size(), candidate.size()) + 1) continue;
    if (best.empty() || distance < smallest) {
      best = candidate;
      smallest = distance;
    }
  }
  return best;
}

std::string suggestion(std::string_view word, std::span<const std::string_view> candidates) {
  const std::string_view found = nearest(word, candidates);
  return found.empty() ? std::string() : fmt::format(" (did you mean {}?)", found);
}

void fail_unknown(std::string_view what, std::string_view name, std::span<const std::string_view> names) {
  fail("unknown {} '{}'{}: expected one of {}", what, name, suggestion(name, names), fmt::join(names, ", "));
}

}  // namespace csreft
