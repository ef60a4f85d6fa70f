#include "reft/interventions/formulas.h"

namespace csreft {

// DiReFT without the constraint: V is free in place of the orthonormal R; close to LoRA on hidden states. Starts at W =
// 0.
const Intervention nodireft{
    .name = "nodireft",
    .formula = "h + V^T (W h + b)",
    .parameters = {{"V", Extent::rank_by_hidden, Start::orthonormal},
                   {"W", Extent::rank_by_hidden, Start::zero},
                   {"b", Extent::rank, Start::zero}},
    .apply =
        [](const Variable& hidden, const EditRows& rows, InterventionValues values, const Variable& alpha) {
          const auto &V = values[0], &W = values[1], &b = values[2];
          return low_rank_update(hidden, rows, W, b, V, alpha);
        },
};

}  // namespace csreft
