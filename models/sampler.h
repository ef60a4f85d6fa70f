// Choosing the next token from its logits.
#pragma once

#include <cstdint>
#include <span>

#include "core/random.h"

namespace csreft {

struct SamplingOptions {
  double temperature = 0.0;  // 0: greedy, the largest logit
  int top_k = 0;             // only the k most probable tokens; 0: all
  double top_p = 1.0;        // only the most probable tokens that together reach this probability
  std::uint64_t seed = 0;
};

// Throws Error unless temperature >= 0, top_k >= 0 and 0 < top_p <= 1.
void check_sampling(const SamplingOptions& options);

// A token drawn from softmax(logits / temperature), first cut to the top_k, then to the nucleus of mass top_p (Holtzman
// et al. 2020). Of equal logits the lower id comes first. Throws Error if a logit is not finite.
std::int32_t sample(std::span<const float> logits, const SamplingOptions& options, Random& random);

}  // namespace csreft
