#include "reft/router_inputs/entries.h"

namespace csreft {

// The embedding of the prompt's last token.
const RouterInput last_token_input{
    .name = "last_token",
    .summary = "the embedding of the prompt's last token (constant under a chat template, too)",
    .states = RouterStates::embeddings,
    .pool =
        [](const Tensor& states, const PromptSpans& prompts) {
          std::vector<std::int32_t> rows;
          for (std::size_t e = 0; e < prompts.starts.size(); ++e) {
            rows.push_back(prompts.starts[e] + prompts.lengths[e] - 1);
          }
          return ops::gather_rows(states, index_tensor(rows));
        },
};

}  // namespace csreft
