#include "reft/interventions/formulas.h"

namespace csreft {

// A constant is added within the subspace. Starts at b = 0: the identity.
const Intervention lobireft{
    .name = "lobireft",
    .formula = "h + R^T b",
    .parameters = {{"R", Extent::rank_by_hidden, Start::orthonormal, ParameterManifold::stiefel},
                   {"b", Extent::rank, Start::zero}},
    .apply =
        [](const Variable& hidden, const EditRows& rows, InterventionValues values, const Variable& alpha) {
          const auto &R = values[0], &b = values[1];
          return low_rank_update(hidden, rows, /*A=*/{}, b, R, alpha);
        },
};

}  // namespace csreft
