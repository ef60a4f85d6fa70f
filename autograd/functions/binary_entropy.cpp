#include "autograd/functions/functions.h"

namespace csreft {

// y = -p log p - (1 - p) log(1 - p);  dp = dy log((1 - p) / p)
Variable binary_entropy(const Variable& p) {
  return record("binary_entropy", ops::binary_entropy(p.value()), {p},
                [p = p.value()](BackwardPass& pass) { pass.add(0, ops::binary_entropy_backward(pass.dy, p)); });
}

}  // namespace csreft
