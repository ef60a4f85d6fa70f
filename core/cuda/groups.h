// Index tensors turned around: for each value that occurs, where it occurs. Made on the host, in O(n log n).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace csreft::cuda {

// Value values[g] stands at places[offsets[g]], ..., places[offsets[g + 1] - 1] of the index, in rising order; values
// rise.
struct Groups {
  std::vector<std::int32_t> values, offsets, places;
};

Groups group_by_value(std::span<const std::int32_t> index);

}  // namespace csreft::cuda
