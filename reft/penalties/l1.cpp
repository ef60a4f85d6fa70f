#include "reft/penalties/entries.h"

namespace csreft {

// mean over examples of sum_i alpha_i: few gates open.
const Penalty l1_penalty{
    .name = "l1",
    .summary = "mean over examples of the sum of their gates",
    .apply = [](const Variable& alpha) { return scale(sum(alpha), 1.0 / static_cast<double>(alpha.shape()[0])); },
};

}  // namespace csreft
