#include "core/cuda/groups.h"

#include <algorithm>
#include <numeric>

namespace csreft::cuda {

Groups group_by_value(std::span<const std::int32_t> index) {
  const auto value_at = [&](std::int32_t place) { return index[static_cast<std::size_t>(place)]; };
  Groups groups;
  groups.places.resize(index.size());
  std::iota(groups.places.begin(), groups.places.end(), 0);
  std::ranges::stable_sort(groups.places, {}, value_at);
  for (std::size_t i = 0; i < groups.places.size(); ++i) {
    const std::int32_t value = value_at(groups.places[i]);
    if (!groups.values.empty() && groups.values.back() == value) continue;
    groups.values.push_back(value);
    groups.offsets.push_back(static_cast<std::int32_t>(i));
  }
  groups.offsets.push_back(static_cast<std::int32_t>(groups.places.size()));
  return groups;
}

}  // namespace csreft::cuda
