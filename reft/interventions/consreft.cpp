#include "reft/interventions/intervention.h"

namespace csreft {

// The subspace's part of the hidden state is replaced by a constant (pyreft's ConsreftIntervention), so no start leaves
// hidden states as they are.
extern const Intervention consreft;
const Intervention consreft{
    .name = "consreft",
    .formula = "h + R^T (b - R h)",
    .parameters = {{"R", Extent::rank_by_hidden, Start::orthonormal, Start::orthonormal, ParameterManifold::stiefel},
                   {"b", Extent::rank, Start::uniform, Start::zero}},
    .apply =
        [](const EditInput& input) {
          const auto &R = input.values[0], &b = input.values[1];
          return low_rank_edit(input, {.A = {}, .b = b, .S = R, .P = R});
        },
    .has_identity = false,
};

}  // namespace csreft
