#include "reft/interventions/formulas.h"

namespace csreft {

// Low-rank linear subspace ReFT (arXiv 2404.03592, eq. 2): within the subspace that the rows of R span, the hidden
// state is moved to W h + b. Starts at W = R, b = 0: the identity.
const Intervention loreft{
    .name = "loreft",
    .formula = "h + R^T (W h + b - R h)",
    .parameters = {{"R", Extent::rank_by_hidden, Start::orthonormal, ParameterManifold::stiefel},
                   {"W", Extent::rank_by_hidden, Start::like_first},
                   {"b", Extent::rank, Start::zero}},
    .apply =
        [](const Variable& hidden, const EditRows& rows, InterventionValues values, const Variable& alpha) {
          const auto &R = values[0], &W = values[1], &b = values[2];
          return low_rank_update(hidden, rows, sub(W, R), b, R, alpha);
        },
};

}  // namespace csreft
