#include "reft/interventions/intervention.h"

namespace csreft {

// DiReFT without the constraint: V is free in place of the orthonormal R; close to LoRA on hidden states.
extern const Intervention nodireft;
const Intervention nodireft{
    .name = "nodireft",
    .formula = "h + V^T (W h + b)",
    .parameters = {{"V", Extent::rank_by_hidden, Start::torch_linear, Start::orthonormal},
                   {"W", Extent::rank_by_hidden, Start::torch_linear, Start::zero},
                   {"b", Extent::rank, Start::torch_linear, Start::zero}},
    .apply =
        [](const EditInput& input) {
          const auto &V = input.values[0], &W = input.values[1], &b = input.values[2];
          return low_rank_edit(input, {.A = W, .b = b, .S = {}, .P = V});
        },
};

}  // namespace csreft
