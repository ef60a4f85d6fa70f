#include "reft/router/router.h"

namespace csreft {

// mean over examples of sum_i p_i: few gates open.
extern const Penalty l1_penalty;
const Penalty l1_penalty{
    .name = "l1",
    .summary = "mean over examples of the sum of their gates",
    .of_competing = false,
    .of_independent = true,
    .mean_of_examples = true,
    .apply = [](const Variable& p) { return scale(sum(p), 1.0 / static_cast<double>(p.shape()[0])); },
};

}  // namespace csreft
