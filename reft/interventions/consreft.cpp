#include "reft/interventions/formulas.h"

namespace csreft {

// The subspace's part of the hidden state is replaced by a constant: starts at zero, which removes it.
const Intervention consreft{
    .name = "consreft",
    .formula = "h + R^T (b - R h)",
    .parameters = {{"R", Extent::rank_by_hidden, Start::orthonormal, ParameterManifold::stiefel},
                   {"b", Extent::rank, Start::zero}},
    .starts_as_identity = false,
    .apply =
        [](const Variable& hidden, const EditRows& rows, InterventionValues values, const Variable& alpha) {
          const auto &R = values[0], &b = values[1];
          return low_rank_update(hidden, rows, scale(R, -1.0), b, R, alpha);
        },
};

}  // namespace csreft
