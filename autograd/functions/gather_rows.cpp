#include "autograd/functions/functions.h"

namespace csreft {

// y[i] = x[index[i]];  dx[index[i]] += dy[i]
Variable gather_rows(const Variable& x, const RowIndex& index) {
  return record("gather_rows", ops::gather_rows(x.value(), index), {x},
                [index, shape = x.shape(), options = x.value().options()](BackwardPass& pass) {
                  const Tensor dx = Tensor::zeros(shape, options);
                  ops::scatter_add_rows_(dx, index, pass.dy);
                  pass.add(0, dx);
                });
}

}  // namespace csreft
