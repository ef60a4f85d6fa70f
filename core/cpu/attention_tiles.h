// How attention is cut up, shared by its forward and its backward.
//
// A tile holds the queries of all heads that read one key/value head, stacked: with `group` heads, row g * count + i is
// query i of head g. Tiles of keys pass under it; their scores are [keys, rows], so that the softmax of many queries
// goes on in vectors, and neither keys nor values need to be copied.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/cpu/maps.h"
#include "core/ops/ops.h"

namespace csreft::cpu {

// Queries (per head) and keys in a tile.
inline constexpr std::int64_t tile_queries = 32;
inline constexpr std::int64_t tile_keys = 128;

// A tile's queries: rows [first, first + count) of q, of the heads that read key/value head kv_head. Query i stands at
// position `position` + i of its sequence and sees the keys up to there; the sequence's keys start at row k_start.
struct QueryTile {
  std::int64_t first, count, position, k_start, kv_head;

  std::int64_t keys() const { return position + count; }
  // How many of the keys from `key` on query i sees, of at most `limit`.
  std::int64_t visible(std::int64_t i, std::int64_t key, std::int64_t limit) const {
    return std::clamp<std::int64_t>(position + i + 1 - key, 0, limit);
  }
};

struct AttentionShape {
  explicit AttentionShape(const ops::AttentionHeads& heads)
      : head_dim(heads.head_dim),
        n_heads(heads.n_heads),
        group(heads.n_heads / heads.n_kv_heads),
        q_stride(heads.n_heads * heads.head_dim),
        kv_stride(heads.n_kv_heads * heads.head_dim) {}

  // Where head g of the tile's group begins in the tile's first row of q.
  std::int64_t at(const QueryTile& tile, std::int64_t g) const {
    return tile.first * q_stride + (tile.kv_head * group + g) * head_dim;
  }
  // Where the tile's key `key` begins in k.
  std::int64_t key_at(const QueryTile& tile, std::int64_t key) const {
    return (tile.k_start + key) * kv_stride + tile.kv_head * head_dim;
  }
  // Where the value of row `row` of the tile stands in a matrix of one element for each query and head.
  std::int64_t element(const QueryTile& tile, std::int64_t row) const {
    return (tile.first + row % tile.count) * n_heads + tile.kv_head * group + row / tile.count;
  }

  std::int64_t head_dim, n_heads, group;
  std::int64_t q_stride, kv_stride;  // elements in a row of q and of k
};

// The tile's queries that start with query `begin` of sequence s.
inline QueryTile query_tile(const ops::AttentionLayout& layout, std::int64_t s, std::int64_t begin,
                            std::int64_t kv_head) {
  const auto* q_offset = layout.q_offsets.data<std::int32_t>();
  const std::int64_t queries = q_offset[s + 1] - q_offset[s];
  return {.first = q_offset[s] + begin,
          .count = std::min(tile_queries, queries - begin),
          .position = layout.k_lengths.data<std::int32_t>()[s] - queries + begin,
          .k_start = layout.k_starts.data<std::int32_t>()[s],
          .kv_head = kv_head};
}

// What q k^T is multiplied by.
template <typename T>
T score_scale(const AttentionShape& shape) {
  return T{1} / std::sqrt(static_cast<T>(shape.head_dim));
}

// Whether the layout's products are worth waking other threads for.
inline bool worth_threads(const ops::AttentionLayout& layout, const ops::AttentionHeads& heads) {
  constexpr std::int64_t threshold = 1 << 18;  // multiplications: some 20 microseconds
  const auto* q_offset = layout.q_offsets.data<std::int32_t>();
  std::int64_t scores = 0;
  for (std::int64_t s = 0; s < layout.k_lengths.numel(); ++s) {
    scores += std::int64_t{q_offset[s + 1] - q_offset[s]} * layout.k_lengths.data<std::int32_t>()[s];
  }
  return scores * heads.n_heads * heads.head_dim > threshold;
}

// Copies the tile's rows of a matrix that is laid out as q is, times factor, into the stacked tile [rows, head_dim].
template <typename T>
void stack(const T* from, const AttentionShape& shape, const QueryTile& tile, T factor, MatrixMap<T> stacked) {
  for (std::int64_t g = 0; g < shape.group; ++g) {
    stacked.middleRows(g * tile.count, tile.count) =
        factor * matrix(from + shape.at(tile, g), tile.count, shape.head_dim, shape.q_stride);
  }
}

// The inverse of stack, with factor 1.
template <typename T>
void unstack(const MatrixMap<T>& stacked, const AttentionShape& shape, const QueryTile& tile, T* to) {
  for (std::int64_t g = 0; g < shape.group; ++g) {
    matrix(to + shape.at(tile, g), tile.count, shape.head_dim, shape.q_stride) =
        stacked.middleRows(g * tile.count, tile.count);
  }
}

// Sets to `value` what lies above the diagonal in a tile of scores [keys, rows], whose first key is `key`.
template <typename T>
void mask(const QueryTile& tile, std::int64_t group, std::int64_t key, T value, MatrixMap<T> scores) {
  for (std::int64_t j = std::max<std::int64_t>(0, tile.position + 1 - key); j < scores.rows(); ++j) {
    // Queries before key + j do not see it.
    const std::int64_t blind = std::min(tile.count, key + j - tile.position);
    for (std::int64_t g = 0; g < group; ++g) scores.row(j).segment(g * tile.count, blind).setConstant(value);
  }
}

}  // namespace csreft::cpu
