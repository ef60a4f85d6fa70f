#include "autograd/functions/functions.h"

namespace csreft {

// At each edited row: h' = s * h + b;  dh = s * dh', ds = sum of dh' * h, db = sum of dh'
Variable scale_shift(const Variable& hidden, const EditRows& rows, const Variable& s, const Variable& b) {
  const Tensor h = ops::gather_rows(hidden.value(), rows.index);
  const Tensor y = hidden.value().clone();
  ops::scatter_rows_(y, rows.index, ops::add_row(ops::mul_row(h, s.value()), b.value()));
  return record("scale_shift", y, {hidden, s, b}, [rows, h, s = s.value()](BackwardPass& pass) {
    const Tensor dedited = ops::gather_rows(pass.dy, rows.index);
    if (pass.needs(0)) {
      const Tensor dhidden = pass.dy.clone();
      ops::scatter_rows_(dhidden, rows.index, ops::mul_row(dedited, s));
      pass.add(0, dhidden);
    }
    if (pass.needs(1)) pass.add(1, ops::sum_rows(ops::mul(dedited, h)));
    if (pass.needs(2)) pass.add(2, ops::sum_rows(dedited));
  });
}

}  // namespace csreft
