#include "autograd/functions/functions.h"

namespace csreft {

// y = hidden, y[index[i]] += delta[i];  dhidden = dy, ddelta[i] = dy[index[i]]
Variable add_at_rows(const Variable& hidden, const RowIndex& index, const Variable& delta) {
  return record("add_at_rows", ops::add_rows(hidden.value(), index, delta.value()), {hidden, delta},
                [index](BackwardPass& pass) {
                  pass.add(0, pass.dy);
                  if (pass.needs(1)) pass.add(1, ops::gather_rows(pass.dy, index));
                });
}

}  // namespace csreft
