#include "reft/router/router.h"

namespace csreft {

// The first token's embedding, as the paper's released code has it: constant under a chat template, where every prompt
// starts with the same token.
extern const RouterInput first_token_input;
const RouterInput first_token_input{
    .name = "first_token",
    .summary = "the first token's embedding (the paper's code; constant under a chat template)",
    .states = RouterStates::embeddings,
    .rows = [](std::int32_t start, std::int32_t) -> RowRange {
      return {start, start + 1};
    },
};

}  // namespace csreft
