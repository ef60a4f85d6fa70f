#include "reft/router/inputs/entries.h"

namespace csreft {

// The mean of the prompt's input embeddings.
const RouterInput prompt_mean_input{
    .name = "prompt_mean",
    .summary = "mean of the prompt's input embeddings",
    .states = RouterStates::embeddings,
    .rows = whole_prompt,
};

}  // namespace csreft
