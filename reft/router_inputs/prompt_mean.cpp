#include "reft/router_inputs/entries.h"

namespace csreft {

// The mean of the prompt's input embeddings.
const RouterInput prompt_mean_input{
    .name = "prompt_mean",
    .summary = "mean of the prompt's input embeddings",
    .states = RouterStates::embeddings,
    .pool = mean_over_prompts,
};

}  // namespace csreft
