#include "reft/penalties/entries.h"

namespace csreft {

// mean over examples of sum_i H(alpha_i), H the entropy of a Bernoulli variable in nats: gates near 0 or 1.
const Penalty entropy_penalty{
    .name = "entropy",
    .summary = "mean over examples of the sum of their gates' binary entropies",
    .apply =
        [](const Variable& alpha) {
          return scale(sum(binary_entropy(alpha)), 1.0 / static_cast<double>(alpha.shape()[0]));
        },
};

}  // namespace csreft
