#include "autograd/functions/functions.h"

namespace csreft {

// y = max(x, 0);  dx = dy where y > 0
Variable relu(const Variable& x) {
  const Tensor y = ops::relu(x.value());
  return record("relu", y, {x}, [y](BackwardPass& pass) { pass.add(0, ops::relu_backward(pass.dy, y)); });
}

}  // namespace csreft
