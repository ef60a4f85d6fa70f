#include "reft/router_inputs/entries.h"

namespace csreft {

// The embedding of the prompt's last token.
const RouterInput last_token_input{
    .name = "last_token",
    .summary = "the embedding of the prompt's last token (constant under a chat template, too)",
    .read =
        [](const Llama& model, const TokenBatch& batch, const PromptSpans& prompts) {
          const auto ids = batch.ids.span<std::int32_t>();
          std::vector<std::int32_t> tokens;
          for (std::size_t e = 0; e < prompts.starts.size(); ++e) {
            tokens.push_back(ids[static_cast<std::size_t>(prompts.starts[e] + prompts.lengths[e] - 1)]);
          }
          return ops::gather_rows(model.embedding().value(), index_tensor(tokens));
        },
};

}  // namespace csreft
