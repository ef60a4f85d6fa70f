#include "reft/interventions/intervention.h"

namespace csreft {

// Representation editing (arXiv 2402.15179): scale and shift each component, from s = 1 and b = 0.
extern const Intervention red;
const Intervention red{
    .name = "red",
    .formula = "s * h + b",
    .parameters = {{"s", Extent::hidden, Start::one, Start::one}, {"b", Extent::hidden, Start::zero, Start::zero}},
    .apply =
        [](const EditInput& input) {
          require(!input.alpha.defined(), "red has no subspaces to gate: expected a low-rank intervention");
          return scale_shift(input.hidden, input.rows, input.values[0], input.values[1]);
        },
};

}  // namespace csreft
