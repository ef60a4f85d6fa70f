#include "reft/interventions/formulas.h"

namespace csreft {

// LoReFT without the difference (arXiv 2404.03592, eq. 3): W h + b is added within the subspace, and what was there
// stays. Starts at W = 0, b = 0: the identity.
const Intervention direft{
    .name = "direft",
    .formula = "h + R^T (W h + b)",
    .parameters = {{"R", Extent::rank_by_hidden, Start::orthonormal, ParameterManifold::stiefel},
                   {"W", Extent::rank_by_hidden, Start::zero},
                   {"b", Extent::rank, Start::zero}},
    .apply =
        [](const Variable& hidden, const EditRows& rows, InterventionValues values, const Variable& alpha) {
          const auto &R = values[0], &W = values[1], &b = values[2];
          return low_rank_update(hidden, rows, W, b, R, alpha);
        },
};

}  // namespace csreft
