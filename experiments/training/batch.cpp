#include "experiments/training/batch.h"

#include <algorithm>

namespace csreft {

std::int64_t count_supervised(std::span<const EncodedExample* const> examples) {
  std::int64_t n = 0;
  for (const auto* e : examples) n += static_cast<std::int64_t>(e->ids.size()) - e->prompt_length;
  return n;
}

std::vector<std::int32_t> prompt_of(const EncodedExample& example) {
  return {example.ids.begin(), example.ids.begin() + example.prompt_length};
}

EncodedExample encode_example(const LanguageModel& model, const Task& task, std::size_t index, std::string_view system,
                              std::int64_t max_length) {
  const Example& example = task.examples[index];
  EncodedExample encoded;
  encoded.ids = encode_prompt(*model.chat, model.tokenizer, system, example.instruction, example.input);
  const auto prompt = static_cast<std::int64_t>(encoded.ids.size());
  const std::int64_t context = context_length(model.llama.config());
  require(prompt > 0, "{}: the prompt of example {} is empty: expected at least one token", task.name, index);
  require(prompt < context, "{}: the prompt of example {} has {} tokens, expected fewer than {}", task.name, index,
          prompt, context_text(model.llama.config()));
  const auto response = encode_response(*model.chat, model.tokenizer, example.output);
  encoded.ids.insert(encoded.ids.end(), response.begin(), response.end());
  const std::int64_t length = std::min({static_cast<std::int64_t>(encoded.ids.size()), max_length, context});
  encoded.cut = length < static_cast<std::int64_t>(encoded.ids.size());
  encoded.ids.resize(static_cast<std::size_t>(length));
  encoded.prompt_length = std::min(prompt, length);
  return encoded;
}

std::vector<std::vector<std::int32_t>> encode_prompts(const LanguageModel& model, std::span<const Example> examples,
                                                      std::string_view system) {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto& e : examples) {
    prompts.push_back(encode_prompt(*model.chat, model.tokenizer, system, e.instruction, e.input));
  }
  return prompts;
}

SupervisedBatch pack_examples(std::span<const EncodedExample* const> examples) {
  std::vector<std::vector<std::int32_t>> sequences;
  std::vector<std::int32_t> rows, targets;
  SupervisedBatch batch;
  std::int32_t start = 0;
  for (const auto* example : examples) {
    const auto length = static_cast<std::int32_t>(example->ids.size());
    const auto prompt = static_cast<std::int32_t>(example->prompt_length);
    batch.prompts.starts.push_back(start);
    batch.prompts.lengths.push_back(prompt);
    batch.prompts.ends.push_back(start + length);
    for (std::int32_t i = prompt; i < length; ++i) {
      rows.push_back(start + i - 1);
      targets.push_back(example->ids[static_cast<std::size_t>(i)]);
    }
    sequences.push_back(example->ids);
    start += length;
  }
  batch.tokens = pack_tokens(sequences);
  batch.rows = index_tensor(rows);
  batch.targets = index_tensor(targets);
  return batch;
}

void check_edits(const Method& method, std::span<const std::int32_t> prompt, std::string_view where,
                 std::int32_t task) {
  const NoGrad no_grad;
  const TokenBatch batch = pack_tokens(std::vector<std::vector<std::int32_t>>{{prompt.begin(), prompt.end()}});
  try {
    static_cast<void>(method.attach({batch, whole_prompts(batch), std::span(&task, 1)}));
  } catch (const Error& error) {
    fail("{}: {}", where, error.what());
  }
}

}  // namespace csreft
