#include "reft/interventions/intervention.h"

namespace csreft {

// Without an activation A h - S h is (A - S) h: one product.
Variable low_rank_edit(const EditInput& input, const LowRankForm& form) {
  const auto& [A, b, S, P] = form;
  const auto activate = A.defined() ? input.activation.apply : nullptr;
  if (activate == nullptr) {
    const Variable read = !S.defined() ? A : A.defined() ? sub(A, S) : scale(S, -1.0);
    return low_rank_update(input.hidden, input.rows, read, b, P, input.alpha);
  }
  const Variable h = gather_rows(input.hidden, input.rows.index);
  Variable u = linear(h, A);
  if (b.defined()) u = add_row(u, b);
  u = activate(u);
  if (S.defined()) u = sub(u, linear(h, S));
  return low_rank_write(input.hidden, input.rows, u, P, input.alpha);
}

}  // namespace csreft
