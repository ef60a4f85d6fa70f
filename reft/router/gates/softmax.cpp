#include "reft/router/gates/entries.h"

namespace csreft {

// alpha = softmax(scores): gates share a whole of one.
const Gate softmax_gate{
    .name = "softmax",
    .summary = "softmax of the scores: gates share a whole of one",
    .source = GateSource::router,
    .competing = true,
    .apply = [](const GateInput& input) -> Gates {
      const Variable alpha = softmax(input.scores);
      return {alpha, alpha};
    },
};

}  // namespace csreft
