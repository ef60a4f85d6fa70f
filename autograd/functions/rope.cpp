#include "autograd/functions/functions.h"

namespace csreft {

// y = T(position) x with T a rotation in each plane (i, i + head_dim / 2);  dx = T^T dy
Variable rope(const Variable& x, const Tensor& positions, const Tensor& inverse_frequencies) {
  return record("rope", ops::rope(x.value(), positions, inverse_frequencies), {x},
                [positions, inverse_frequencies](BackwardPass& pass) {
                  pass.add(0, ops::rope(pass.dy, positions, inverse_frequencies, /*inverse=*/true));
                });
}

}  // namespace csreft
