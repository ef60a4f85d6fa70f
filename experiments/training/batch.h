// From examples to packed batches.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "experiments/tasks/task.h"
#include "models/language_model.h"
#include "reft/methods/method.h"

namespace csreft {

struct EncodedExample {
  std::vector<std::int32_t> ids;   // prompt, response, and the token that ends it
  std::int64_t prompt_length = 0;  // the rest is supervised; the prompt may fill all of it
  std::size_t task = 0;            // index of the task that it belongs to
  bool cut = false;                // some of it did not fit
};

// The response tokens of examples, those that are supervised.
std::int64_t count_supervised(std::span<const EncodedExample* const> examples);

// The tokens of its prompt alone.
std::vector<std::int32_t> prompt_of(const EncodedExample& example);

// Encodes an example's response behind its prompt, with the model's chat template, and cuts at max_length tokens. A
// text has one token of prompt: BOS, or the first of its own. Throws Error, naming the task and the example, for a
// prompt that is empty or that the model's context cannot hold.
EncodedExample encode_example(const LanguageModel& model, const Task& task, std::size_t index, std::string_view system,
                              std::int64_t max_length);

// Which of the assistant's turns of a conversation are learnt.
enum class LossOn { last, all };

// What is learnt of an example: its response and, with LossOn::all, each earlier one of the assistant's, every one
// behind its own prompt: all that came before it. So each is learnt as it is generated: edits lie where they lie when
// that prompt is answered, and a router reads nothing that is to be predicted. Those of which no token has room within
// max_length are left out, which marks the one before them as cut; none is left where even the first has no room.
std::vector<EncodedExample> encode_turns(const LanguageModel& model, const Example& example, std::string_view system,
                                         std::int64_t max_length, LossOn loss_on);

// The prompt of each example, in the model's chat template. `system` is the message of those without one of their own.
std::vector<std::vector<std::int32_t>> encode_prompts(const LanguageModel& model, std::span<const Example> examples,
                                                      std::string_view system);

// An example with this response in place of its own, which is cut where the model's context ends.
EncodedExample encode_response_of(const LanguageModel& model, const Example& example, std::string_view system,
                                  std::string_view response);

// Takes away, of the first `most` examples (0: all), those whose prompts the model's context cannot hold, with as many
// tokens behind them as `response_length` says (unset: one), and counts them; those behind come up in their place.
// Throws Error where none is left.
void skip_too_long(const LanguageModel& model, Task& task, std::string_view system, std::int64_t most = 0,
                   const std::function<std::int64_t(const Example&)>& response_length = {});

struct SupervisedBatch {
  TokenBatch tokens;
  PromptSpans prompts;
  RowIndex rows;   // i32 [m]: the tokens from which a response token is predicted
  Tensor targets;  // i32 [m]: those response tokens

  std::int64_t n_supervised() const { return rows.size(); }
};

// Where the prompts and responses lie when these examples are packed one after the other.
PromptSpans spans_of(std::span<const EncodedExample* const> examples);

SupervisedBatch pack_examples(std::span<const EncodedExample* const> examples);

// Throws Error, beginning with `where`, if the method edits a prompt nowhere or outside of it. Of several prompts the
// shortest one tells. `task`: the prompt's (Method::task_index), for gates that are decided by it.
void check_edits(const Method& method, std::span<const std::int32_t> prompt, std::string_view where,
                 std::int32_t task = 0);

}  // namespace csreft
