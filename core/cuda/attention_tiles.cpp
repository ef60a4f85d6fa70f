#include "core/cuda/attention_tiles.h"

#include <algorithm>
#include <functional>

namespace csreft::cuda {
namespace {

// Calls f(q_first, q_count, k_first, k_count) for each sequence.
template <typename F>
void for_sequences(const ops::AttentionLayout& layout, const F& f) {
  const auto q_offsets = layout.q_offsets.span<std::int32_t>();
  const auto k_starts = layout.k_starts.span<std::int32_t>(), k_lengths = layout.k_lengths.span<std::int32_t>();
  for (std::size_t s = 0; s < k_starts.size(); ++s) {
    f(q_offsets[s], q_offsets[s + 1] - q_offsets[s], k_starts[s], k_lengths[s]);
  }
}

}  // namespace

std::vector<AttentionTile> query_tiles(const ops::AttentionLayout& layout, int side) {
  std::vector<AttentionTile> tiles;
  for_sequences(layout, [&](int q_first, int q_count, int k_first, int k_count) {
    for (int begin = 0; begin < q_count; begin += side) {
      const int count = std::min(side, q_count - begin), position = k_count - q_count + begin;
      tiles.push_back({.first = q_first + begin,
                       .count = count,
                       .position = position,
                       .other_first = k_first,
                       .other_count = position + count,
                       .other_position = 0});
    }
  });
  std::ranges::stable_sort(tiles, std::ranges::greater{}, &AttentionTile::other_count);
  return tiles;
}

std::vector<AttentionTile> key_tiles(const ops::AttentionLayout& layout, int side) {
  std::vector<AttentionTile> tiles;
  for_sequences(layout, [&](int q_first, int q_count, int k_first, int k_count) {
    for (int begin = 0; begin < k_count; begin += side) {
      const int count = std::min(side, k_count - begin);
      // Queries before the tile's first key see none of it.
      const int skipped = std::clamp(begin - (k_count - q_count), 0, q_count);
      tiles.push_back({.first = k_first + begin,
                       .count = count,
                       .position = begin,
                       .other_first = q_first + skipped,
                       .other_count = q_count - skipped,
                       .other_position = k_count - q_count + skipped});
    }
  });
  std::ranges::stable_sort(tiles, std::ranges::greater{}, &AttentionTile::other_count);
  return tiles;
}

}  // namespace csreft::cuda
