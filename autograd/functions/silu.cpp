#include "autograd/functions/functions.h"

namespace csreft {

// y = x s, s = sigmoid(x);  dx = dy s (1 + x (1 - s)). x is kept, since y does not tell it.
Variable silu(const Variable& x) {
  return record("silu", ops::silu(x.value()), {x},
                [x = x.value()](BackwardPass& pass) { pass.add(0, ops::silu_backward(pass.dy, x)); });
}

}  // namespace csreft
