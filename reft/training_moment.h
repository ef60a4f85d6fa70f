// When in a training run a forward pass takes place: what dropout and annealed gates depend on, so that a resumed run
// draws what an uninterrupted one would.
#pragma once

#include <cstdint>

namespace csreft {

struct TrainingMoment {
  std::int64_t step = 0;         // 0-based
  std::int64_t total_steps = 1;  // of the run
  std::uint64_t seed = 0;        // of the run
  std::int64_t pass = 0;         // of the step: a long batch is computed in several
};

}  // namespace csreft
