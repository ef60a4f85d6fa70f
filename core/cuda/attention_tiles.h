// Lists of tiles of attention, made on the host: a block of threads works on one tile of one head.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ops/ops.h"

namespace csreft::cuda {

// Rows [first, first + count) of q or of k, and what they meet in the other matrix; positions are those of the first
// rows in their sequence. A query at position p sees the keys at positions up to p.
struct AttentionTile {
  std::int32_t first, count, position;
  std::int32_t other_first, other_count, other_position;
};

// Tiles of at most `side` queries with the keys that some of them see, and of `side` keys with the queries that see
// some of them; the tiles that meet the most rows come first, so that the last blocks to start are short ones.
std::vector<AttentionTile> query_tiles(const ops::AttentionLayout& layout, int side);
std::vector<AttentionTile> key_tiles(const ops::AttentionLayout& layout, int side);

}  // namespace csreft::cuda
