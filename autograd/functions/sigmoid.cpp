#include "autograd/functions/functions.h"

namespace csreft {

// y = 1 / (1 + exp(-x));  dx = dy y (1 - y)
Variable sigmoid(const Variable& x) {
  const Tensor y = ops::sigmoid(x.value());
  return record("sigmoid", y, {x}, [y](BackwardPass& pass) { pass.add(0, ops::sigmoid_backward(pass.dy, y)); });
}

}  // namespace csreft
