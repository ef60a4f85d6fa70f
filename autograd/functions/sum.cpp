#include "autograd/functions/functions.h"

namespace csreft {

// y = sum of x;  dx = dy everywhere
Variable sum(const Variable& x) {
  return record("sum", ops::sum(x.value()), {x},
                [shape = x.shape(), options = x.value().options()](BackwardPass& pass) {
                  pass.add(0, Tensor::full(shape, pass.dy.item(), options));
                });
}

}  // namespace csreft
