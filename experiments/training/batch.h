// From examples to packed batches.
#pragma once

#include <cstdint>
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

// Encodes with the model's chat template and cuts at max_length tokens. Throws Error, naming the task and the example,
// for a prompt that is empty or that the model's context cannot hold.
EncodedExample encode_example(const LanguageModel& model, const Task& task, std::size_t index, std::string_view system,
                              std::int64_t max_length);

// The prompt of each example, in the model's chat template.
std::vector<std::vector<std::int32_t>> encode_prompts(const LanguageModel& model, std::span<const Example> examples,
                                                      std::string_view system);

struct SupervisedBatch {
  TokenBatch tokens;
  PromptSpans prompts;
  RowIndex rows;   // i32 [m]: the tokens from which a response token is predicted
  Tensor targets;  // i32 [m]: those response tokens

  std::int64_t n_supervised() const { return rows.size(); }
};

SupervisedBatch pack_examples(std::span<const EncodedExample* const> examples);

// Throws Error, beginning with `where`, if the method edits a prompt nowhere or outside of it. Of several prompts the
// shortest one tells. `task`: the prompt's (Method::task_index), for gates that are decided by it.
void check_edits(const Method& method, std::span<const std::int32_t> prompt, std::string_view where,
                 std::int32_t task = 0);

}  // namespace csreft
