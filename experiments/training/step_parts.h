// How the examples of an optimizer step are divided: among ranks, and in each into passes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "experiments/training/batch.h"

namespace csreft {

using Examples = std::span<const EncodedExample* const>;

// The examples of rank `rank` of `ranks`: those whose middle token lies in its share of all tokens. Parts are
// consecutive, in the order of ranks, of about as many tokens each, and some may be empty.
Examples part_of_rank(Examples examples, int rank, int ranks);

// Consecutive runs of examples of at most `tokens` tokens each (or one example).
std::vector<Examples> passes_of(Examples examples, std::int64_t tokens);

}  // namespace csreft
