#include "autograd/functions/functions.h"

namespace csreft {

// sum over i of sum |A A_i^T|, of functions that have their gradients
Variable orthogonality(const Variable& A, std::span<const Tensor> earlier) {
  require(!earlier.empty(), "orthogonality to nothing: expected a matrix of an earlier task");
  Variable total;
  for (const Tensor& A_i : earlier) {
    const Variable overlap = abs_sum(linear(A, Variable(A_i)));
    total = total.defined() ? add(total, overlap) : overlap;
  }
  return total;
}

}  // namespace csreft
