#include "reft/interventions/intervention.h"

namespace csreft {

// Low-rank linear subspace ReFT (arXiv 2404.03592, eq. 2): within the subspace that the rows of R span, the hidden
// state is moved to W h + b.
extern const Intervention loreft;
const Intervention loreft{
    .name = "loreft",
    .formula = "h + R^T (W h + b - R h)",
    .parameters = {{"R", Extent::rank_by_hidden, Start::orthonormal, Start::orthonormal, ParameterManifold::stiefel},
                   {"W", Extent::rank_by_hidden, Start::torch_linear, Start::like_first},
                   {"b", Extent::rank, Start::torch_linear, Start::zero}},
    .apply =
        [](const EditInput& input) {
          const auto &R = input.values[0], &W = input.values[1], &b = input.values[2];
          return low_rank_edit(input, {.A = W, .b = b, .S = R, .P = R});
        },
};

}  // namespace csreft
