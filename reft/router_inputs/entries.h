// The table's entries, one a file.
#pragma once

#include "reft/router.h"

namespace csreft {

extern const RouterInput prompt_mean_input;
extern const RouterInput first_token_input;
extern const RouterInput last_token_input;
extern const RouterInput hidden_input;

// The mean of each prompt's rows of `states` [tokens, d]: [examples, d].
Tensor mean_over_prompts(const Tensor& states, const PromptSpans& prompts);

}  // namespace csreft
