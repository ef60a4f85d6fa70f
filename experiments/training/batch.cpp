#include "experiments/training/batch.h"

#include <algorithm>
#include <utility>

namespace csreft {

std::int64_t count_supervised(std::span<const EncodedExample* const> examples) {
  std::int64_t n = 0;
  for (const auto* e : examples) n += static_cast<std::int64_t>(e->ids.size()) - e->prompt_length;
  return n;
}

std::vector<std::int32_t> prompt_of(const EncodedExample& example) {
  return {example.ids.begin(), example.ids.begin() + example.prompt_length};
}

namespace {

std::int64_t context_of(const LanguageModel& model) { return context_length(model.llama.config()); }

std::vector<std::int32_t> encode_prompt_of(const LanguageModel& model, const Example& example,
                                           std::string_view system) {
  if (!example.system.empty()) system = example.system;
  if (example.history.empty()) {
    return encode_prompt(*model.chat, model.tokenizer, system, example.instruction, example.input);
  }
  std::vector<Message> messages;
  if (!system.empty()) messages.push_back({"system", std::string(system)});
  messages.insert(messages.end(), example.history.begin(), example.history.end());
  messages.push_back({"user", example.instruction + (example.input.empty() ? "" : "\n" + example.input)});
  return encode_prompt(*model.chat, model.tokenizer, messages);
}

// Between BOS and EOS, where the tokenizer has them and the text does not.
EncodedExample encode_text(const LanguageModel& model, std::string_view text) {
  const Tokenizer& tokenizer = model.tokenizer;
  EncodedExample encoded{.ids = tokenizer.encode(text)};
  auto& ids = encoded.ids;
  if (tokenizer.adds_bos() && (ids.empty() || ids.front() != *tokenizer.bos()))
    ids.insert(ids.begin(), *tokenizer.bos());
  if (tokenizer.eos() && (ids.empty() || ids.back() != *tokenizer.eos())) ids.push_back(*tokenizer.eos());
  encoded.prompt_length = std::min<std::int64_t>(1, std::ssize(ids));
  return encoded;
}

// A tokenizer may have more tokens than the model: they are an error where a text has one.
void check_ids(const LanguageModel& model, std::span<const std::int32_t> ids) {
  const std::int64_t size = model.llama.config().vocab_size;
  const auto beyond = std::ranges::find_if(ids, [size](std::int32_t id) { return id < 0 || id >= size; });
  require(beyond == ids.end(), "token id {} lies outside the model's vocabulary of {}: expected a tokenizer that fits",
          beyond == ids.end() ? 0 : *beyond, size);
}

EncodedExample encode_whole(const LanguageModel& model, const Example& example, std::string_view system,
                            std::string_view response) {
  EncodedExample encoded;
  if (example.is_text) {
    encoded = encode_text(model, response);
  } else {
    encoded.ids = encode_prompt_of(model, example, system);
    encoded.prompt_length = std::ssize(encoded.ids);
    const auto ids = encode_response(*model.chat, model.tokenizer, response);
    encoded.ids.insert(encoded.ids.end(), ids.begin(), ids.end());
  }
  check_ids(model, encoded.ids);
  return encoded;
}

void cut(EncodedExample& encoded, std::int64_t max_length) {
  encoded.cut = max_length < std::ssize(encoded.ids);
  if (encoded.cut) encoded.ids.resize(static_cast<std::size_t>(max_length));
  encoded.prompt_length = std::min(encoded.prompt_length, max_length);
}

// The example, behind examples of the assistant's earlier turns: `history` has user and assistant by turns.
std::vector<Example> turns_of(const Example& example) {
  std::vector<Example> turns;
  const auto& history = example.history;
  for (std::size_t i = 1; i < history.size(); i += 2) {
    if (std::ranges::find(example.not_learnt, i) != example.not_learnt.end()) continue;
    const auto before = history.begin() + static_cast<std::ptrdiff_t>(i) - 1;
    turns.push_back({.instruction = history[i - 1].content,
                     .input = {},
                     .output = history[i].content,
                     .answer = {},
                     .dataset = {},
                     .system = example.system,
                     .history = {history.begin(), before}});
  }
  turns.push_back(example);
  return turns;
}

bool has_room(const EncodedExample& encoded, std::int64_t length) {
  return encoded.prompt_length > 0 && encoded.prompt_length < length && encoded.prompt_length < std::ssize(encoded.ids);
}

}  // namespace

EncodedExample encode_example(const LanguageModel& model, const Task& task, std::size_t index, std::string_view system,
                              std::int64_t max_length) {
  const Example& example = task.examples[index];
  EncodedExample encoded = encode_whole(model, example, system, example.output);
  const std::int64_t prompt = encoded.prompt_length, context = context_of(model);
  require(prompt > 0, "{}: the prompt of example {} is empty: expected at least one token", task.name, index);
  require(prompt < context, "{}: the prompt of example {} has {} tokens, expected fewer than {}", task.name, index,
          prompt, context_text(model.llama.config()));
  cut(encoded, std::min(max_length, context));
  return encoded;
}

std::vector<EncodedExample> encode_turns(const LanguageModel& model, const Example& example, std::string_view system,
                                         std::int64_t max_length, LossOn loss_on) {
  const std::int64_t length = std::min(max_length, context_of(model));
  std::vector<EncodedExample> encoded;
  for (const auto& turn : loss_on == LossOn::all ? turns_of(example) : std::vector<Example>{example}) {
    EncodedExample e = encode_whole(model, turn, system, turn.output);
    if (!has_room(e, length)) {
      if (!encoded.empty()) encoded.back().cut = true;
      break;
    }
    cut(e, length);
    encoded.push_back(std::move(e));
  }
  return encoded;
}

EncodedExample encode_response_of(const LanguageModel& model, const Example& example, std::string_view system,
                                  std::string_view response) {
  EncodedExample encoded = encode_whole(model, example, system, response);
  cut(encoded, context_of(model));
  return encoded;
}

std::vector<std::vector<std::int32_t>> encode_prompts(const LanguageModel& model, std::span<const Example> examples,
                                                      std::string_view system) {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const auto& e : examples) prompts.push_back(encode_prompt_of(model, e, system));
  return prompts;
}

void skip_too_long(const LanguageModel& model, Task& task, std::string_view system, std::int64_t most,
                   const std::function<std::int64_t(const Example&)>& response_length) {
  auto& examples = task.examples;
  const auto is_enough = [&](std::size_t kept) { return most > 0 && std::cmp_greater_equal(kept, most); };
  std::size_t kept = 0, seen = 0;
  for (; seen < examples.size() && !is_enough(kept); ++seen) {
    const Example& e = examples[seen];
    const std::int64_t behind = response_length ? response_length(e) : 1;
    const bool fits = e.is_text || std::ssize(encode_prompt_of(model, e, system)) + behind <= context_of(model);
    if (!fits) continue;
    if (kept != seen) examples[kept] = std::move(examples[seen]);
    ++kept;
  }
  task.skipped.too_long += static_cast<std::int64_t>(seen - kept);
  examples.erase(examples.begin() + static_cast<std::ptrdiff_t>(kept),
                 examples.begin() + static_cast<std::ptrdiff_t>(seen));
  require(!examples.empty(),
          "{}: no example can be used, {}: expected prompts of fewer tokens than the model's context of {}", task.name,
          describe(task.skipped, 0), context_of(model));
}

PromptSpans spans_of(std::span<const EncodedExample* const> examples) {
  PromptSpans spans;
  std::int32_t start = 0;
  for (const auto* example : examples) {
    const auto length = static_cast<std::int32_t>(example->ids.size());
    spans.starts.push_back(start);
    spans.lengths.push_back(static_cast<std::int32_t>(example->prompt_length));
    spans.ends.push_back(start + length);
    start += length;
  }
  return spans;
}

SupervisedBatch pack_examples(std::span<const EncodedExample* const> examples) {
  std::vector<std::vector<std::int32_t>> sequences;
  std::vector<std::int32_t> rows, targets;
  SupervisedBatch batch;
  batch.prompts = spans_of(examples);
  for (std::size_t e = 0; e < examples.size(); ++e) {
    const auto& ids = examples[e]->ids;
    for (auto i = static_cast<std::size_t>(examples[e]->prompt_length); i < ids.size(); ++i) {
      rows.push_back(batch.prompts.starts[e] + static_cast<std::int32_t>(i) - 1);
      targets.push_back(ids[i]);
    }
    sequences.push_back(ids);
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
