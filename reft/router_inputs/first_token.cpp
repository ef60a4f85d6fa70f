#include "reft/router_inputs/entries.h"

namespace csreft {

// The first token's embedding, as the paper's released code has it: constant under a chat template, where every prompt
// starts with the same token.
const RouterInput first_token_input{
    .name = "first_token",
    .summary = "the first token's embedding (the paper's code; constant under a chat template)",
    .read =
        [](const Llama& model, const TokenBatch& batch, const PromptSpans& prompts) {
          const auto ids = batch.ids.span<std::int32_t>();
          std::vector<std::int32_t> tokens;
          for (std::size_t e = 0; e < prompts.starts.size(); ++e) {
            tokens.push_back(ids[static_cast<std::size_t>(prompts.starts[e])]);
          }
          return ops::gather_rows(model.embedding().value(), index_tensor(tokens));
        },
};

}  // namespace csreft
