#include "reft/router_inputs/entries.h"

namespace csreft {

Tensor mean_over_prompts(const Tensor& states, const PromptSpans& prompts) {
  std::vector<std::int32_t> rows, offsets{0};
  for (std::size_t e = 0; e < prompts.starts.size(); ++e) {
    for (std::int32_t i = 0; i < prompts.lengths[e]; ++i) rows.push_back(prompts.starts[e] + i);
    offsets.push_back(static_cast<std::int32_t>(rows.size()));
  }
  return ops::segment_mean(ops::gather_rows(states, index_tensor(rows)), index_tensor(offsets));
}

}  // namespace csreft
