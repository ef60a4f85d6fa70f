#include "autograd/functions/functions.h"

namespace csreft {

using ops::Transpose;

// At each edited row h of example e:  h' = h + P^T (g * u), g = alpha[e] repeated. With c = P dh' (q numbers a row):
// dh = dh',  du = g * c,  dP = sum (g * u) dh'^T,  dalpha = sum u * c over each block.
Variable low_rank_write(const Variable& hidden, const EditRows& rows, const Variable& u, const Variable& P,
                        const Variable& alpha) {
  const Tensor gated = ops::low_rank_gate_(u.value().clone(), {}, alpha.value(), rows.example);
  const Tensor y = ops::add_rows(hidden.value(), rows.index, ops::matmul(gated, P.value()));

  const auto backward = [=, u = u.value(), P = P.value(), alpha = alpha.value()](BackwardPass& pass) {
    const Tensor dedited = ops::gather_rows(pass.dy, rows.index);
    const Tensor c = ops::matmul(dedited, P, Transpose::no, Transpose::yes);
    ops::LowRankGateGradient d{.gated_c = c, .db = {}, .dalpha = {}};
    if (alpha.defined()) d = ops::low_rank_gate_backward(c, u, alpha, rows.example);
    pass.add(0, pass.dy);
    pass.add(1, d.gated_c);
    if (pass.needs(2)) pass.add(2, ops::matmul(gated, dedited, Transpose::yes));
    pass.add(3, d.dalpha);
  };
  return record("low_rank_write", y, {hidden, u, P, alpha}, backward);
}

}  // namespace csreft
