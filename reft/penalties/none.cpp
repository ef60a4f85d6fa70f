#include "reft/penalties/entries.h"

namespace csreft {

const Penalty none_penalty{
    .name = "none",
    .summary = "no penalty",
    .needs_competing = false,
    .mean_of_examples = true,
    .apply = [](const Variable& p) { return scale(sum(p), 0.0); },
};

}  // namespace csreft
