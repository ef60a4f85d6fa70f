#include <array>

#include "reft/router/router.h"

namespace csreft {

// mean over examples of H(p) - H(mean over examples of p), H(p) = -sum_i p_i log p_i: minus the mutual information
// between example and subspace. Small where each prompt is sure of its subspace and all subspaces are used (Krause,
// Perona and Gomes 2010). A whole step's examples belong together: half of it has another mean.
extern const Penalty mi_penalty;
const Penalty mi_penalty{
    .name = "mi",
    .summary = "minus the mutual information of prompt and subspace: certain on each prompt, balanced over the step",
    .of_competing = true,
    .of_independent = false,
    .mean_of_examples = false,
    .apply =
        [](const Variable& p) {
          const std::int64_t n = p.shape()[0];
          const std::array<std::int32_t, 2> whole{0, static_cast<std::int32_t>(n)};
          const Variable mean = segment_mean(p, index_tensor(whole));
          return add(scale(sum(xlogx(p)), -1.0 / static_cast<double>(n)), sum(xlogx(mean)));
        },
};

}  // namespace csreft
