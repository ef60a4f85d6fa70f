// One more token of each of several sequences, again and again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/device/recording.h"
#include "core/tensor/readback.h"
#include "models/llama/kv_cache.h"
#include "models/llama/llama.h"
#include "models/llama/sampler.h"

namespace csreft {

// How sequences draw (ops::sample_): slot s from stream first_stream + s of the seed, in which it has drawn `drawn`
// times.
struct Drawing {
  SamplingOptions sampling;
  std::uint64_t first_stream = 0;
  std::int32_t drawn = 0;
};

// The step that reads a token of each sequence and draws the next, recorded (recording.h): on a CUDA device it is one
// graph, for all lengths that the cache can hold. Ids, positions and the counts of draws lie on the device, where a
// step leaves them to the next; the tokens drawn, and nothing else, come to the host.
class DecodeStep {
 public:
  // For these slots of the cache, each of which holds at least one token; tokens[i] is the next of slots[i]. The model
  // and the cache must outlive it. Throws Error for ids outside the vocabulary.
  DecodeStep(const Llama& model, KvCache& cache, Attachments attachments, std::vector<std::int32_t> slots,
             std::span<const std::int32_t> tokens, const Drawing& drawing);
  DecodeStep(const DecodeStep&) = delete;
  DecodeStep& operator=(const DecodeStep&) = delete;

  const std::vector<std::int32_t>& slots() const { return slots_; }
  // Starts a step. A device works on it in the background; on the host the work is done when tokens() asks for the
  // result. Throws Error for a sequence that outgrows the cache, and when all have ended.
  void start();
  // Waits for the step that was started last, and gives the token that each slot drew; -1 where a logit was not finite.
  const std::vector<std::int32_t>& tokens();
  // Ends these slots, from the next step on and for good: they take no more room in the cache, and their rows of the
  // logits, their tokens and the cache rows of their last tokens have no meaning any longer.
  void end(const std::vector<bool>& ended);
  // What the tokens were drawn from, [slots, vocabulary], on the model's device; valid until the next step.
  const Tensor& logits() const { return logits_; }

 private:
  void write_inputs();
  void run();

  const Llama& model_;
  KvCache& cache_;
  std::vector<std::int32_t> slots_;
  std::vector<std::int32_t> tokens_;  // the last of each slot that the host knows
  std::vector<bool> ended_;
  std::int32_t steps_ = 0;
  bool started_ = false;
  bool inputs_written_ = false;
  Tensor draws_;   // i32 [slots, 2], as ops::sample_ has them
  Tensor inputs_;  // i32 [6, slots]: the members of step_, in order
  ops::StepInputs step_;
  TokenBatch batch_;
  Tensor logits_;
  Tensor drawn_;  // i32 [the cache's capacity, slots]: the tokens of all steps
  Tensor next_;   // i32 [slots]: of this one
  Readback readback_;
  Recording recording_;
};

}  // namespace csreft
