// The table's entries, one a file.
#pragma once

#include "reft/router/router.h"

namespace csreft {

extern const Penalty none_penalty;
extern const Penalty l1_penalty;
extern const Penalty entropy_penalty;
extern const Penalty mi_penalty;

}  // namespace csreft
