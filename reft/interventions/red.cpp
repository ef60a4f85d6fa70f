#include "reft/interventions/formulas.h"

namespace csreft {

// Representation editing (arXiv 2402.15179): scale and shift each component. Starts at s = 1, b = 0: the identity.
const Intervention red{
    .name = "red",
    .formula = "s * h + b",
    .parameters = {{"s", Extent::hidden, Start::one}, {"b", Extent::hidden, Start::zero}},
    .apply =
        [](const Variable& hidden, const EditRows& rows, InterventionValues values, const Variable& alpha) {
          require(!alpha.defined(), "red has no subspaces to gate: expected a low-rank intervention");
          return scale_shift(hidden, rows, values[0], values[1]);
        },
};

}  // namespace csreft
