#include "autograd/functions/functions.h"

namespace csreft {

// o = softmax(q k^T / sqrt(head_dim)) v, causal within each sequence. Kept: q, k, v, o and the log of each query's sum
// of exponentials, from which the backward computes the probabilities again, a tile at a time.
Variable attention(const Variable& q, const Variable& k, const Variable& v, const ops::AttentionLayout& layout,
                   const ops::AttentionHeads& heads) {
  const auto forward = ops::attention(q.value(), k.value(), v.value(), layout, heads);
  return record("attention", forward.out, {q, k, v},
                [q = q.value(), k = k.value(), v = v.value(), forward, layout, heads](BackwardPass& pass) {
                  auto [dq, dk, dv] = ops::attention_backward(pass.dy, q, k, v, forward, layout, heads);
                  pass.add(0, std::move(dq));
                  pass.add(1, std::move(dk));
                  pass.add(2, std::move(dv));
                });
}

}  // namespace csreft
