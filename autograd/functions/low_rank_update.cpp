#include "autograd/functions/functions.h"

namespace csreft {

using ops::Transpose;

// At each edited row h of example e:  h' = h + P^T (g * u), u = A h + b, g = alpha[e] repeated. With c = P dh' (q
// numbers per row):  dh = dh' + A^T (g * c),  dA = sum (g * c) h^T,  db = sum g * c,  dP = sum (g * u) dh'^T,  dalpha =
// sum u * c over each block. All of it on the edited rows alone.
Variable low_rank_update(const Variable& hidden, const EditRows& rows, const Variable& A, const Variable& b,
                         const Variable& P, const Variable& alpha) {
  require(A.defined() || b.defined(), "a low-rank update needs A or b");
  const Tensor h = ops::gather_rows(hidden.value(), rows.index);
  const Tensor u = A.defined() ? ops::matmul(h, A.value(), Transpose::no, Transpose::yes)
                               : Tensor::zeros({h.rows(), P.value().rows()}, h.options());
  const Tensor gated = ops::low_rank_gate_(u, b.value(), alpha.value(), rows.example);
  const Tensor y = ops::add_rows(hidden.value(), rows.index, ops::matmul(gated, P.value()));

  const auto backward = [=, A = A.value(), P = P.value(), alpha = alpha.value()](BackwardPass& pass) {
    const Tensor dedited = ops::gather_rows(pass.dy, rows.index);
    const Tensor c = ops::matmul(dedited, P, Transpose::no, Transpose::yes);
    ops::LowRankGateGradient d{.gated_c = c, .db = {}, .dalpha = {}};
    if (alpha.defined()) {
      d = ops::low_rank_gate_backward(c, u, alpha, rows.example);
    } else if (pass.needs(2)) {
      d.db = ops::sum_rows(c);
    }
    if (pass.needs(0)) {
      pass.add(0, A.defined() ? ops::add_rows(pass.dy, rows.index, ops::matmul(d.gated_c, A)) : pass.dy);
    }
    if (pass.needs(1)) pass.add(1, ops::matmul(d.gated_c, h, Transpose::yes));
    pass.add(2, d.db);
    if (pass.needs(3)) pass.add(3, ops::matmul(gated, dedited, Transpose::yes));
    pass.add(4, d.dalpha);
  };
  return record("low_rank_update", y, {hidden, A, b, P, alpha}, backward);
}

}  // namespace csreft
