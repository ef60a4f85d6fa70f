// Keys and values of past tokens, so that a generated token is computed alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/llama/llama_config.h"
#include "models/llama/token_batch.h"

namespace csreft {

// Room for `capacity` tokens of each of `n_sequences` sequences, in every layer. Sequences advance independently: each
// forward names the slots that take part, with as many new tokens for each as it likes.
class KvCache {
 public:
  // options: Llama::cache_options() of the model that is to fill it.
  KvCache(const LlamaConfig& config, std::int64_t n_sequences, std::int64_t capacity,
          const TensorOptions& options = {});

  // Makes room for `sequences[i]` after the tokens that slot `slots[i]` holds, and gives the batch that computes them.
  // Throws Error, and changes nothing, where a sequence would outgrow the capacity, and for a slot that is not there or
  // named twice.
  TokenBatch extend(std::span<const std::int32_t> slots, std::span<const std::vector<std::int32_t>> sequences);

  // Makes room for one more token of a slot. Throws Error where it would outgrow the capacity.
  void extend(std::int32_t slot);
  std::int64_t capacity() const { return capacity_; }

  std::int64_t length(std::int32_t slot) const { return lengths_[static_cast<std::size_t>(slot)]; }
  // [n_sequences * capacity, n_kv_heads * head_dim]: slot s has the rows from s * capacity on.
  const Tensor& keys(std::int64_t layer) const { return keys_[static_cast<std::size_t>(layer)]; }
  const Tensor& values(std::int64_t layer) const { return values_[static_cast<std::size_t>(layer)]; }

 private:
  std::int64_t capacity_;
  std::vector<std::int32_t> lengths_;
  std::vector<Tensor> keys_;
  std::vector<Tensor> values_;
};

}  // namespace csreft
