#include "reft/router/router.h"

namespace csreft {

// The mean of the prompt's input embeddings.
extern const RouterInput prompt_mean_input;
const RouterInput prompt_mean_input{
    .name = "prompt_mean",
    .summary = "mean of the prompt's input embeddings",
    .states = RouterStates::embeddings,
    .rows = whole_prompt_rows,
};

}  // namespace csreft
