// The table's entries, one a file.
#pragma once

#include "reft/router.h"

namespace csreft {

extern const Gate soft_gate;

}  // namespace csreft
