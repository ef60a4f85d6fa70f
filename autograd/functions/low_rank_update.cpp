#include "autograd/functions/functions.h"

namespace csreft {

using ops::Transpose;

// At each edited row h of example e:  h' = h + P^T (g * u), u = A h + b, g = alpha[e] repeated. With c = P dh' (q
// numbers a row):  dh = dh' + A^T (g * c),  dA = sum (g * c) h^T,  db = sum g * c,  dP = sum (g * u) dh'^T,  dalpha =
// sum u * c over each block. All of it on the edited rows alone.
Variable low_rank_update(const Variable& hidden, const EditRows& rows, const Variable& A, const Variable& b,
                         const Variable& P, const Variable& alpha) {
  require(A.defined() || b.defined(), "a low-rank update needs A or b");
  const Tensor h = ops::gather_rows(hidden.value(), rows.index);
  const std::int64_t m = h.rows();
  Tensor u = A.defined() ? ops::matmul(h, A.value(), Transpose::no, Transpose::yes)
                         : Tensor::zeros({m, P.value().rows()}, h.options());
  if (b.defined()) u = ops::add_row(u, b.value());
  const Tensor gated = alpha.defined() ? ops::scale_blocks(u, alpha.value(), rows.example) : u;
  const Tensor edited = ops::add(h, ops::matmul(gated, P.value()));
  const Tensor y = hidden.value().clone();
  ops::scatter_rows_(y, rows.index, edited);

  const auto backward = [=, A = A.value(), P = P.value(), alpha = alpha.value()](BackwardPass& pass) {
    const Tensor dedited = ops::gather_rows(pass.dy, rows.index);
    const Tensor c = ops::matmul(dedited, P, Transpose::no, Transpose::yes);
    const Tensor gc = alpha.defined() ? ops::scale_blocks(c, alpha, rows.example) : c;
    if (pass.needs(0)) {
      if (A.defined()) {
        const Tensor dhidden = pass.dy.clone();
        ops::scatter_add_rows_(dhidden, rows.index, ops::matmul(gc, A));
        pass.add(0, dhidden);
      } else {
        pass.add(0, pass.dy);
      }
    }
    if (pass.needs(1)) pass.add(1, ops::matmul(gc, h, Transpose::yes));
    if (pass.needs(2)) pass.add(2, ops::sum_rows(gc));
    if (pass.needs(3)) pass.add(3, ops::matmul(gated, dedited, Transpose::yes));
    if (pass.needs(4)) {
      pass.add(4, ops::scale_blocks_backward_alpha(c, u, rows.example, alpha.rows(), alpha.cols()));
    }
  };
  return record("low_rank_update", y, {hidden, A, b, P, alpha}, backward);
}

}  // namespace csreft
