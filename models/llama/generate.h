// Generation with a KV cache, for a batch of prompts of different lengths.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "models/llama/llama.h"
#include "models/llama/sampler.h"

namespace csreft {

struct GenerationOptions {
  std::int64_t max_new_tokens = 64;
  std::vector<std::int32_t> stop_tokens;  // a sequence ends before the first of them
  SamplingOptions sampling;
};

// What attaches while prompts are read and while tokens are generated.
struct GenerationAttachments {
  std::function<Attachments(const TokenBatch& prompts)> prompt;  // unset: nothing
  // While a token of each of these sequences is computed, again and again; asked anew when sequences have ended.
  std::function<Attachments(std::span<const std::int32_t> sequences)> generated;  // unset: nothing
};

// Called with each new token of sequence `sequence`; returning false ends all of them (an interrupt, say).
using OnToken = std::function<bool(std::size_t sequence, std::int32_t token)>;

// The new tokens of each prompt, without the stop token. All prompts are read in one pass; then each step computes one
// token of every sequence that has not ended, on a CUDA device as a graph that draws it, too (decode_step.h). Sequence
// i draws from stream i + first_stream of the seed, so that the result does not depend on who shares its batch. Throws
// Error for an empty prompt or one that the context cannot hold; a sequence that reaches the end of the context ends
// there.
std::vector<std::vector<std::int32_t>> generate(const Llama& model, std::span<const std::vector<std::int32_t>> prompts,
                                                const GenerationOptions& options,
                                                const GenerationAttachments& attachments = {},
                                                const OnToken& on_token = {}, std::uint64_t first_stream = 0);

}  // namespace csreft
