#include "reft/interventions/intervention.h"

namespace csreft {

// A constant is added within the subspace (pyreft's LobireftIntervention).
extern const Intervention lobireft;
const Intervention lobireft{
    .name = "lobireft",
    .formula = "h + R^T b",
    .parameters = {{"R", Extent::rank_by_hidden, Start::orthonormal, Start::orthonormal, ParameterManifold::stiefel},
                   {"b", Extent::rank, Start::uniform, Start::zero}},
    .apply =
        [](const EditInput& input) {
          const auto &R = input.values[0], &b = input.values[1];
          return low_rank_edit(input, {.A = {}, .b = b, .S = {}, .P = R});
        },
};

}  // namespace csreft
