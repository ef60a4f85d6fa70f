#include "reft/interventions/formulas.h"

namespace csreft {

// LoReFT without the constraint: V is free in place of the orthonormal R (arXiv 2404.03592, appendix). Starts at W = V.
const Intervention noreft{
    .name = "noreft",
    .formula = "h + V^T (W h + b - V h)",
    .parameters = {{"V", Extent::rank_by_hidden, Start::orthonormal},
                   {"W", Extent::rank_by_hidden, Start::like_first},
                   {"b", Extent::rank, Start::zero}},
    .apply =
        [](const Variable& hidden, const EditRows& rows, InterventionValues values, const Variable& alpha) {
          const auto &V = values[0], &W = values[1], &b = values[2];
          return low_rank_update(hidden, rows, sub(W, V), b, V, alpha);
        },
};

}  // namespace csreft
