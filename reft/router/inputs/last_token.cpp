#include "reft/router/router.h"

namespace csreft {

// The embedding of the prompt's last token.
extern const RouterInput last_token_input;
const RouterInput last_token_input{
    .name = "last_token",
    .summary = "the embedding of the prompt's last token (constant under a chat template, too)",
    .states = RouterStates::embeddings,
    .rows = [](std::int32_t start, std::int32_t length) -> RowRange {
      return {start + length - 1, start + length};
    },
};

}  // namespace csreft
