// How attention is cut up, shared by its forward and its backward.
//
// A tile holds the queries of all heads that read one key/value head, stacked: with `group` heads, row g * queries + i
// is query i of head g. A tile of keys is read once for all of them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/cpu/maps.h"
#include "core/ops.h"

namespace csreft::cpu {

// Queries (per head) and keys in a tile.
inline constexpr std::int64_t tile_queries = 64;
inline constexpr std::int64_t tile_keys = 64;

struct AttentionShape {
  explicit AttentionShape(const ops::AttentionHeads& heads)
      : head_dim(heads.head_dim),
        n_heads(heads.n_heads),
        group(heads.n_heads / heads.n_kv_heads),
        q_stride(heads.n_heads * heads.head_dim),
        kv_stride(heads.n_kv_heads * heads.head_dim) {}

  std::int64_t head_dim, n_heads, group;
  std::int64_t q_stride, kv_stride;  // elements in a row of q and of k
};

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

// Copies the tile's rows of a matrix that is laid out as q is, times factor, into the stacked tile.
template <typename T>
void stack(const T* from, const AttentionShape& shape, const QueryTile& tile, T factor, MatrixMap<T> stacked) {
  for (std::int64_t g = 0; g < shape.group; ++g) {
    const std::int64_t head = tile.kv_head * shape.group + g;
    stacked.middleRows(g * tile.count, tile.count) =
        factor *
        matrix(from + tile.first * shape.q_stride + head * shape.head_dim, tile.count, shape.head_dim, shape.q_stride);
  }
}

// The inverse of stack, with factor 1.
template <typename T>
void unstack(ConstMatrixMap<T> stacked, const AttentionShape& shape, const QueryTile& tile, T* to) {
  for (std::int64_t g = 0; g < shape.group; ++g) {
    const std::int64_t head = tile.kv_head * shape.group + g;
    matrix(to + tile.first * shape.q_stride + head * shape.head_dim, tile.count, shape.head_dim, shape.q_stride) =
        stacked.middleRows(g * tile.count, tile.count);
  }
}

}  // namespace csreft::cpu
