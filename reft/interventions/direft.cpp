#include "reft/interventions/intervention.h"

namespace csreft {

// LoReFT without the difference (arXiv 2404.03592, eq. 3): W h + b is added within the subspace, and what was there
// stays.
extern const Intervention direft;
const Intervention direft{
    .name = "direft",
    .formula = "h + R^T (W h + b)",
    .parameters = {{"R", Extent::rank_by_hidden, Start::orthonormal, Start::orthonormal, ParameterManifold::stiefel},
                   {"W", Extent::rank_by_hidden, Start::torch_linear, Start::zero},
                   {"b", Extent::rank, Start::torch_linear, Start::zero}},
    .apply =
        [](const EditInput& input) {
          const auto &R = input.values[0], &W = input.values[1], &b = input.values[2];
          return low_rank_edit(input, {.A = W, .b = b, .S = {}, .P = R});
        },
};

}  // namespace csreft
