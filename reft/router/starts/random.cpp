#include "reft/router/starts/entries.h"

namespace csreft {

// The weights as they were drawn.
const RouterStart random_start{
    .name = "random",
    .summary = "weights as drawn",
    .reads_prompts = false,
    .set = [](std::span<const Parameter> parameters, const Tensor&,
              std::uint64_t) { return parameters[2].value.shape()[0]; },
};

}  // namespace csreft
