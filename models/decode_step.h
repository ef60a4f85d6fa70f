// One more token of each of several sequences, again and again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/recording.h"
#include "models/kv_cache.h"
#include "models/llama.h"

namespace csreft {

// The step that computes the next tokens' logits, recorded (recording.h): on a CUDA device it is one graph, for all
// lengths that the cache can hold. What changes from step to step lies in one small tensor on the device.
class DecodeStep {
 public:
  static constexpr std::int32_t no_token = -1;

  // For these slots of the cache, each of which holds a token at least. The model, the cache and what is attached must
  // outlive it.
  DecodeStep(const Llama& model, KvCache& cache, std::vector<std::int32_t> slots, const Attachments& attachments);
  DecodeStep(const DecodeStep&) = delete;
  DecodeStep& operator=(const DecodeStep&) = delete;

  const std::vector<std::int32_t>& slots() const { return slots_; }
  // Appends a token to each slot, and gives the logits of the next, [slots, vocabulary], on the model's device; they
  // are valid until the next call. A slot with no_token has ended: the row of its last token becomes meaningless, and
  // so do its logits. Throws Error for ids outside the vocabulary and for a sequence that outgrows the cache.
  const Tensor& operator()(std::span<const std::int32_t> tokens);

 private:
  const Llama& model_;
  KvCache& cache_;
  std::vector<std::int32_t> slots_;
  Tensor inputs_;  // i32 [4, slots]: ids, positions, rows of the cache, lengths
  TokenBatch batch_;
  Tensor logits_;
  Recording recording_;
};

}  // namespace csreft
