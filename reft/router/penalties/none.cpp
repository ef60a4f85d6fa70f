#include "reft/router/router.h"

namespace csreft {

extern const Penalty none_penalty;
const Penalty none_penalty{
    .name = "none",
    .summary = "no penalty",
    .of_competing = true,
    .of_independent = true,
    .mean_of_examples = true,
    .apply = [](const Variable& p) { return scale(sum(p), 0.0); },
};

}  // namespace csreft
