#include "autograd/functions/functions.h"

namespace csreft {

// y = sum of |x|;  dx = dy sign(x), 0 at 0
Variable abs_sum(const Variable& x) {
  return record("abs_sum", ops::abs_sum(x.value()), {x},
                [x = x.value()](BackwardPass& pass) { pass.add(0, ops::scale(ops::sign(x), pass.dy.item())); });
}

}  // namespace csreft
