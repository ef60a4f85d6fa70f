// Which tokens of a prompt are edited, and with which set of parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/functions/functions.h"
#include "models/llama/token_batch.h"

namespace csreft {

// Where the prompts of a packed batch lie: that of example e in rows [starts[e], starts[e] + lengths[e]), and what
// follows it in the batch, a response, in rows up to ends[e] (empty: nothing follows the prompts).
struct PromptSpans {
  std::vector<std::int32_t> starts;
  std::vector<std::int32_t> lengths;
  std::vector<std::int32_t> ends{};

  // The end of example e.
  std::int32_t end(std::size_t e) const { return ends.empty() ? starts[e] + lengths[e] : ends[e]; }
};

// Where the prompts lie in a batch that holds nothing else.
PromptSpans whole_prompts(const TokenBatch& prompts);

// Tokens [begin, end) of a prompt; negative ends count from the prompt's, and no `end` is the prompt's.
struct PositionSpan {
  std::int64_t begin;
  std::optional<std::int64_t> end;
};

// A set of positions that shares one set of parameters at a layer. `side` names it in parameters and files: "f" (first)
// or "l" (last) for one end alone, "t" for other positions, and "g2", "g3" and so on for a later group of those.
struct PositionGroup {
  std::string side{};
  std::int64_t first = 0;             // the first min(first, limit) tokens
  std::int64_t last = 0;              // the last min(last, limit) tokens
  bool halved = false;                // limit is half of the prompt (integer division), else the whole of it
  bool all = false;                   // every token of the prompt
  bool generated = false;             // and every token generated after it
  std::vector<std::int64_t> fixed{};  // these tokens; negative ones count from the end
  std::vector<PositionSpan> spans{};

  // The edited tokens of a prompt of `length` tokens, rising, each once. Throws Error for a fixed position or an end of
  // a span outside of it, and for a span that is empty in it.
  std::vector<std::int32_t> positions(std::int64_t length) const;
};

// Groups joined by `+`, or by `=` where the second shares the parameters of the first, so that they are one:
//
//   f5            the first 5 tokens of a prompt        all         all of them
//   l5            the last 5                            everywhere  these and generated tokens
//   0,3,-1,2:6    these tokens, and half-open spans such as 2:6, -4: and :3
//
// `f5+l5` is two groups, `f5=l5` one. Where f and l are both named, each has half of a prompt at most. Groups may have
// tokens in common: edits then follow each other. `tied` reads every `+` as `=`. Throws Error for other text.
std::vector<PositionGroup> parse_positions(std::string_view text, bool tied);

// What parse_positions reads, for the help of a flag.
std::string_view positions_help();

// The rows of a packed batch that a group edits. A group of generated tokens edits the response's rows in training: all
// that the model is given. Throws Error where a prompt is edited nowhere.
EditRows edit_rows(const PositionGroup& group, const PromptSpans& prompts);
// How many these are.
std::int64_t count_edit_rows(const PositionGroup& group, const PromptSpans& prompts);

// The rows of a decoding step, which has one token of each of some sequences: row i is examples[i]'s.
EditRows generated_rows(std::span<const std::int32_t> examples);

}  // namespace csreft
