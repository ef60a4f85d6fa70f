#include "autograd/functions/functions.h"

namespace csreft {

// y = tanh(x);  dx = dy (1 - y^2)
Variable tanh(const Variable& x) {
  const Tensor y = ops::tanh(x.value());
  return record("tanh", y, {x}, [y](BackwardPass& pass) { pass.add(0, ops::tanh_backward(pass.dy, y)); });
}

}  // namespace csreft
