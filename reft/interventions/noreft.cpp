#include "reft/interventions/intervention.h"

namespace csreft {

// LoReFT without the constraint: V is free in place of the orthonormal R (arXiv 2404.03592, appendix).
extern const Intervention noreft;
const Intervention noreft{
    .name = "noreft",
    .formula = "h + V^T (W h + b - V h)",
    .parameters = {{"V", Extent::rank_by_hidden, Start::torch_linear, Start::orthonormal},
                   {"W", Extent::rank_by_hidden, Start::torch_linear, Start::like_first},
                   {"b", Extent::rank, Start::torch_linear, Start::zero}},
    .apply =
        [](const EditInput& input) {
          const auto &V = input.values[0], &W = input.values[1], &b = input.values[2];
          return low_rank_edit(input, {.A = W, .b = b, .S = V, .P = V});
        },
};

}  // namespace csreft
