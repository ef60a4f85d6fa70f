// The table's entries, one a file.
#pragma once

#include "reft/router.h"

namespace csreft {

extern const RouterInput prompt_mean_input;
extern const RouterInput first_token_input;
extern const RouterInput last_token_input;

}  // namespace csreft
