#include "autograd/functions/functions.h"

namespace csreft {

// y[s] = mean of the rows of segment s;  each of its rows gets dy[s] / (their number)
Variable segment_mean(const Variable& x, const Tensor& offsets) {
  return record("segment_mean", ops::segment_mean(x.value(), offsets), {x},
                [offsets](BackwardPass& pass) { pass.add(0, ops::segment_mean_backward(pass.dy, offsets)); });
}

}  // namespace csreft
