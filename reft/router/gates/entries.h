// The table's entries, one a file.
#pragma once

#include "reft/router/router.h"

namespace csreft {

extern const Gate soft_gate;
extern const Gate softmax_gate;
extern const Gate top1_gate;
extern const Gate onehot_gate;
extern const Gate ones_gate;

}  // namespace csreft
