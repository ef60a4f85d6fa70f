// Which tokens of a prompt are edited, and with which set of parameters.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/functions/functions.h"
#include "models/llama/token_batch.h"

namespace csreft {

// Where the prompts of a packed batch lie: example e has rows [starts[e], starts[e] + lengths[e]).
struct PromptSpans {
  std::vector<std::int32_t> starts;
  std::vector<std::int32_t> lengths;
};

// Where the prompts lie in a batch that holds nothing else.
PromptSpans whole_prompts(const TokenBatch& prompts);

// A set of positions that shares one set of parameters at a layer. `side` names it in parameters and files: "f"
// (first), "l" (last), "t" (tied: all positions of the specification).
struct PositionGroup {
  std::string side{};
  std::int64_t first = 0;             // the first min(first, limit) tokens
  std::int64_t last = 0;              // the last min(last, limit) tokens
  bool halved = false;                // limit is half of the prompt (integer division), else the whole of it
  bool all = false;                   // every token of the prompt
  std::vector<std::int64_t> fixed{};  // these tokens; negative ones count from the end

  // The edited tokens of a prompt of `length` tokens, rising. Throws Error for a fixed position outside of it.
  std::vector<std::int32_t> positions(std::int64_t length) const;
};

// "f5+l5" (first and last, at most half of the prompt each), "f5", "l5", "all", or a list "0,3,-1". With `tied`, one
// group; without, "f5+l5" makes one for f and one for l. Throws Error for other text.
std::vector<PositionGroup> parse_positions(std::string_view text, bool tied);

// The rows of a packed batch that a group edits. Throws Error where a prompt is edited nowhere.
EditRows edit_rows(const PositionGroup& group, const PromptSpans& prompts);

}  // namespace csreft
