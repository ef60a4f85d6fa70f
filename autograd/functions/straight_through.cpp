#include "autograd/functions/functions.h"

namespace csreft {

// y = hard;  dsoft = dy
Variable straight_through(const Tensor& hard, const Variable& soft) {
  require(hard.shape() == soft.shape(), "straight_through: hard has shape {}, soft {}: expected one shape",
          hard.shape().str(), soft.shape().str());
  return record("straight_through", hard, {soft}, [](BackwardPass& pass) { pass.add(0, pass.dy); });
}

}  // namespace csreft
