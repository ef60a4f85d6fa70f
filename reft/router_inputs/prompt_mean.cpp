#include "reft/router_inputs/entries.h"

namespace csreft {

// The mean of the prompt's input embeddings.
const RouterInput prompt_mean_input{
    .name = "prompt_mean",
    .summary = "mean of the prompt's input embeddings",
    .read =
        [](const Llama& model, const TokenBatch& batch, const PromptSpans& prompts) {
          const auto ids = batch.ids.span<std::int32_t>();
          std::vector<std::int32_t> prompt_ids, offsets{0};
          for (std::size_t e = 0; e < prompts.starts.size(); ++e) {
            const auto first = ids.begin() + prompts.starts[e];
            prompt_ids.insert(prompt_ids.end(), first, first + prompts.lengths[e]);
            offsets.push_back(static_cast<std::int32_t>(prompt_ids.size()));
          }
          return ops::segment_mean(ops::gather_rows(model.embedding().value(), index_tensor(prompt_ids)),
                                   index_tensor(offsets));
        },
};

}  // namespace csreft
