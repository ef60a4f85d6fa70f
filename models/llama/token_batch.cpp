#include "models/llama/token_batch.h"

namespace csreft {

Tensor index_tensor(std::span<const std::int32_t> values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

TokenBatch pack_tokens(std::span<const std::vector<std::int32_t>> sequences) {
  std::vector<std::int32_t> ids, positions, offsets{0}, starts, lengths;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    require(!sequences[s].empty(), "sequence {} of the batch is empty: expected at least one token", s);
    starts.push_back(offsets.back());
    lengths.push_back(static_cast<std::int32_t>(sequences[s].size()));
    for (const auto id : sequences[s]) {
      positions.push_back(static_cast<std::int32_t>(ids.size()) - starts.back());
      ids.push_back(id);
    }
    offsets.push_back(static_cast<std::int32_t>(ids.size()));
  }
  return {index_tensor(ids),
          index_tensor(positions),
          {index_tensor(offsets), index_tensor(starts), index_tensor(lengths)},
          {}};
}

}  // namespace csreft
