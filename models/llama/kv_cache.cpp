#include "models/llama/kv_cache.h"

#include <algorithm>

namespace csreft {

KvCache::KvCache(const LlamaConfig& config, std::int64_t n_sequences, std::int64_t capacity,
                 const TensorOptions& options)
    : capacity_(capacity), lengths_(static_cast<std::size_t>(n_sequences), 0) {
  require(n_sequences > 0 && capacity > 0, "a KV cache holds at least one token of one sequence: got {} x {}",
          n_sequences, capacity);
  for (std::int64_t layer = 0; layer < config.n_layers; ++layer) {
    const Shape shape{n_sequences * capacity, config.n_kv_heads * config.head_dim};
    keys_.push_back(Tensor::empty(shape, options));
    values_.push_back(Tensor::empty(shape, options));
  }
}

TokenBatch KvCache::extend(std::span<const std::int32_t> slots, std::span<const std::vector<std::int32_t>> sequences) {
  require(slots.size() == sequences.size(), "{} slot(s) of the KV cache for {} sequence(s): expected one for each",
          slots.size(), sequences.size());
  TokenBatch batch = pack_tokens(sequences);
  std::vector<std::int32_t> rows, starts, lengths, grown = lengths_;
  const auto positions = batch.positions.span<std::int32_t>();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    require(0 <= slots[i] && slots[i] < static_cast<std::int32_t>(lengths_.size()),
            "slot {} does not exist: the KV cache holds {} sequence(s)", slots[i], lengths_.size());
    require(std::ranges::count(slots.first(i), slots[i]) == 0, "slot {} of the KV cache is named twice", slots[i]);
    std::int32_t& length = grown[static_cast<std::size_t>(slots[i])];
    const auto start = static_cast<std::int32_t>(slots[i] * capacity_);
    if (length > 0) batch.reads_cache = true;
    const auto end = length + static_cast<std::int32_t>(sequences[i].size());
    require(end <= capacity_, "{} tokens do not fit the KV cache, which was made for {} a sequence", end, capacity_);
    for (; length < end; ++length) {
      positions[rows.size()] = length;
      rows.push_back(start + length);
    }
    starts.push_back(start);
    lengths.push_back(length);
  }
  if (batch.reads_cache) {
    batch.layout.k_starts = index_tensor(starts);
    batch.layout.k_lengths = index_tensor(lengths);
  }
  batch.cache_rows = index_tensor(rows);
  lengths_ = std::move(grown);
  return batch;
}

void KvCache::extend(std::int32_t slot) {
  std::int32_t& length = lengths_.at(static_cast<std::size_t>(slot));
  require(length < capacity_, "{} tokens do not fit the KV cache, which was made for {} a sequence", length + 1,
          capacity_);
  ++length;
}

}  // namespace csreft
