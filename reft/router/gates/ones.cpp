#include "reft/router/gates/entries.h"

namespace csreft {

// alpha = 1: every subspace for every prompt, no router. One subspace of rank k r, but for its blocks.
const Gate ones_gate{
    .name = "ones",
    .summary = "every subspace always on: no router",
    .source = GateSource::nothing,
    .competing = false,
    .apply = [](const GateInput& input) -> Gates {
      return {Variable(Tensor::full({input.examples, input.subspaces}, 1.0, input.tensors)), {}};
    },
};

}  // namespace csreft
