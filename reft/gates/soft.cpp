#include "reft/gates/entries.h"

namespace csreft {

// alpha = sigmoid(scores): the paper's. Gates are independent of each other.
const Gate soft_gate{
    .name = "soft",
    .summary = "sigmoid of each score (the paper's)",
    .apply = [](const Variable& scores) { return sigmoid(scores); },
};

}  // namespace csreft
