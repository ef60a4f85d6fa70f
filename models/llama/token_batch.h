// Sequences laid end to end, without padding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/ops/ops.h"

namespace csreft {

// n tokens of s sequences, as the blocks see them.
struct TokenBatch {
  Tensor ids;                   // i32 [n]
  Tensor positions;             // i32 [n]: each token's index in its sequence
  ops::AttentionLayout layout;  // who attends to whom
  RowIndex cache_rows;          // i32 [n]: the rows of the KV cache that take these tokens; undefined without a cache
  bool reads_cache = false;     // whether keys and values are the cache's rows, which layout then speaks of

  // Of a step, one token of each sequence with a cache: the most tokens that a sequence may have; otherwise 0. All
  // tensors of a step lie on the model's device, and layout.q_offsets is undefined.
  std::int64_t longest = 0;

  std::int64_t n_tokens() const { return ids.numel(); }
  std::int64_t n_sequences() const { return layout.k_starts.numel(); }
};

// Packs whole sequences, in order. Throws Error for an empty one.
TokenBatch pack_tokens(std::span<const std::vector<std::int32_t>> sequences);

Tensor index_tensor(std::span<const std::int32_t> values);  // i32 [n]

}  // namespace csreft
