#include "autograd/functions/functions.h"

namespace csreft {

// y = x + row in each row;  dx = dy, drow = sum of dy over the rows
Variable add_row(const Variable& x, const Variable& row) {
  return record("add_row", ops::add_row(x.value(), row.value()), {x, row}, [](BackwardPass& pass) {
    pass.add(0, pass.dy);
    if (pass.needs(1)) pass.add(1, ops::sum_rows(pass.dy));
  });
}

}  // namespace csreft
