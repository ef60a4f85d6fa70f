#include "reft/router/router.h"

namespace csreft {

// The weights as they were drawn.
extern const RouterStart random_start;
const RouterStart random_start{
    .name = "random",
    .summary = "weights as drawn",
    .reads_prompts = false,
    .set = [](std::span<const Parameter> parameters, const Tensor&,
              std::uint64_t) { return parameters[2].value.shape()[0]; },
};

}  // namespace csreft
