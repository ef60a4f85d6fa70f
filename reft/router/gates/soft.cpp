#include "reft/router/gates/entries.h"

namespace csreft {

// alpha = sigmoid(scores): the paper's. Gates are independent of each other.
const Gate soft_gate{
    .name = "soft",
    .summary = "sigmoid of each score (the paper's): gates that do not compete",
    .source = GateSource::router,
    .competing = false,
    .apply = [](const GateInput& input) -> Gates {
      const Variable alpha = sigmoid(input.scores);
      return {alpha, alpha};
    },
};

}  // namespace csreft
