// The table's entries, one a file.
#pragma once

#include "reft/router/router.h"

namespace csreft {

extern const RouterInput prompt_mean_input;
extern const RouterInput first_token_input;
extern const RouterInput last_token_input;
extern const RouterInput hidden_input;

// All rows of a prompt.
inline RowRange whole_prompt(std::int32_t start, std::int32_t length) { return {start, start + length}; }

}  // namespace csreft
