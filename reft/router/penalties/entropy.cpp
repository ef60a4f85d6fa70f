#include "reft/router/router.h"

namespace csreft {

// mean over examples of sum_i H(p_i), H the entropy of a Bernoulli variable in nats: gates near 0 or 1.
extern const Penalty entropy_penalty;
const Penalty entropy_penalty{
    .name = "entropy",
    .summary = "mean over examples of the sum of their gates' binary entropies",
    .of_competing = true,
    .of_independent = true,
    .mean_of_examples = true,
    .apply = [](const Variable& p) { return scale(sum(binary_entropy(p)), 1.0 / static_cast<double>(p.shape()[0])); },
};

}  // namespace csreft
