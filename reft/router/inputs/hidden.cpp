#include "reft/router/router.h"

namespace csreft {

// The mean of the prompt's hidden states after a block below the first edit: they know the words' context, and a
// forward pass has them before the first edit needs a gate.
extern const RouterInput hidden_input;
const RouterInput hidden_input{
    .name = "hidden",
    .summary = "mean of the prompt's hidden states after block --router-layer",
    .states = RouterStates::hidden,
    .rows = whole_prompt_rows,
};

}  // namespace csreft
