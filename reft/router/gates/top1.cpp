#include "reft/router/gates/entries.h"

namespace csreft {

// alpha = one-hot of the largest score, with the gradient of p = softmax(scores): straight-through (arXiv 1308.3432).
const Gate top1_gate{
    .name = "top1",
    .summary = "one-hot of the largest score, with the gradient of the softmax (straight-through)",
    .source = GateSource::router,
    .competing = true,
    .apply = [](const GateInput& input) -> Gates {
      const Variable p = softmax(input.scores);
      return {straight_through(ops::top_k_rows(p.value(), 1), p), p};
    },
};

}  // namespace csreft
