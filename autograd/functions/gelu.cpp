#include "autograd/functions/functions.h"

namespace csreft {

// y = x Phi(x);  dx = dy (Phi(x) + x phi(x)), Phi and phi the distribution function and the density of a standard
// normal variable. x is kept, since y does not tell it.
Variable gelu(const Variable& x) {
  return record("gelu", ops::gelu(x.value()), {x},
                [x = x.value()](BackwardPass& pass) { pass.add(0, ops::gelu_backward(pass.dy, x)); });
}

}  // namespace csreft
