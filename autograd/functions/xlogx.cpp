#include "autograd/functions/functions.h"

namespace csreft {

// y = x log x;  dx = dy (log x + 1)
Variable xlogx(const Variable& x) {
  return record("xlogx", ops::xlogx(x.value()), {x},
                [x = x.value()](BackwardPass& pass) { pass.add(0, ops::xlogx_backward(pass.dy, x)); });
}

}  // namespace csreft
