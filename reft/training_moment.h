// When in a training run a forward pass takes place, and which part of a step it is: what dropout and annealed gates
// depend on, so that a resumed run draws what an uninterrupted one would, and each example what it would in any other
// division of the step into passes and processes.
#pragma once

#include <cstdint>

#include "reft/positions.h"

namespace csreft {

struct TrainingMoment {
  std::int64_t step = 0;         // 0-based
  std::int64_t total_steps = 1;  // of the run
  std::uint64_t seed = 0;        // of the run
  // The step's examples that come before those of the pass, packed as one batch: draws go on after theirs.
  PromptSpans before{};

  std::int64_t examples_before() const { return std::ssize(before.starts); }
  std::int64_t rows_before() const { return before.starts.empty() ? 0 : before.end(before.starts.size() - 1); }
};

}  // namespace csreft
