// Attention of one query a sequence: as for any number of queries.
#include <numeric>
#include <vector>

#include "core/cpu/ops.h"

namespace csreft::cpu {

void attention_step(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& starts, const Tensor& lengths,
                    std::int64_t /*longest*/, const ops::AttentionHeads& heads, const Tensor& out) {
  std::vector<std::int32_t> offsets(static_cast<std::size_t>(q.rows()) + 1);
  std::iota(offsets.begin(), offsets.end(), 0);
  const ops::AttentionLayout layout{Tensor::from(std::span<const std::int32_t>(offsets), {q.rows() + 1}), starts,
                                    lengths};
  attention(q, k.to(q.dtype()), v.to(q.dtype()), layout, heads, out,
            Tensor::empty({q.rows(), heads.n_heads}, q.options()));
}

}  // namespace csreft::cpu
