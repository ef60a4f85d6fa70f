#include "autograd/functions/functions.h"

namespace csreft {

// y = exp(x) / sum exp(x) in each row;  dx = y (dy - sum(dy y))
Variable softmax(const Variable& x) {
  const Tensor y = ops::softmax(x.value());
  return record("softmax", y, {x}, [y](BackwardPass& pass) { pass.add(0, ops::softmax_backward(pass.dy, y)); });
}

}  // namespace csreft
