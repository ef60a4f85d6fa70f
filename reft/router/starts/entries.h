// The table's entries, one a file.
#pragma once

#include "reft/router/router.h"

namespace csreft {

extern const RouterStart random_start;
extern const RouterStart clusters_start;

}  // namespace csreft
