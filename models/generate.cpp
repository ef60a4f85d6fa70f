#include "models/generate.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "models/decode_step.h"

namespace csreft {
namespace {

// Logits of the last token of each sequence, [sequences, vocabulary].
Tensor last_logits(const Llama& model, const TokenBatch& batch, const Attachments& attachments, const KvCache& cache) {
  const Variable hidden = model.forward(batch, attachments, &cache);
  std::vector<std::int32_t> last;
  for (const auto end : batch.layout.q_offsets.span<std::int32_t>().subspan(1)) last.push_back(end - 1);
  return model.logits(Variable(ops::gather_rows(hidden.value(), index_tensor(last)))).value();
}

// Whether sequences that have ended are dropped now. On the host they only cost; on a device a step of a smaller batch
// must be recorded anew, and reading the weights takes most of its time.
bool is_worth_a_new_step(const Device& device, std::size_t n, std::size_t ended) {
  return device.type == DeviceType::cpu ? ended > 0 : 2 * ended >= n;
}

std::int64_t cache_capacity(const Llama& model, std::span<const std::vector<std::int32_t>> prompts,
                            std::int64_t max_new_tokens) {
  std::size_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
  const std::int64_t context = model.config().max_position_embeddings;
  require(static_cast<std::int64_t>(longest) <= context, "a prompt of {} tokens exceeds the model's context of {}",
          longest, context);
  return std::min(context, static_cast<std::int64_t>(longest) + max_new_tokens);
}

}  // namespace

std::vector<std::vector<std::int32_t>> generate(const Llama& model, std::span<const std::vector<std::int32_t>> prompts,
                                                const GenerationOptions& options,
                                                const GenerationAttachments& attachments, const OnToken& on_token,
                                                std::uint64_t first_stream) {
  check_sampling(options.sampling);
  require(options.max_new_tokens >= 1, "{} new tokens are not possible: expected 1 or more", options.max_new_tokens);
  std::vector<std::vector<std::int32_t>> out(prompts.size());
  if (prompts.empty()) return out;

  const NoGrad no_grad;
  const std::int64_t capacity = cache_capacity(model, prompts, options.max_new_tokens);
  KvCache cache(model.config(), static_cast<std::int64_t>(prompts.size()), capacity, model.options());

  // The sequences whose logits there are, row by row; some may have ended.
  std::vector<std::int32_t> slots(prompts.size());
  std::iota(slots.begin(), slots.end(), 0);
  Tensor draws = draw_counts(slots, 0, model.options().device);
  const TokenBatch batch = cache.extend(slots, prompts);
  Tensor logits = last_logits(model, batch, attachments.prompt ? attachments.prompt(batch) : Attachments{}, cache);
  std::vector<std::int32_t> tokens(slots.size(), 0);  // the last of each; DecodeStep::no_token once it has ended
  std::optional<DecodeStep> decode;
  for (std::int32_t step = 1;; ++step) {
    const std::vector<std::int32_t> drawn = sample(logits, options.sampling, first_stream, draws);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (tokens[i] == DecodeStep::no_token) continue;
      const auto s = static_cast<std::size_t>(slots[i]);
      const std::int32_t token = drawn[i];
      require(token >= 0, "the model's logits are not finite: no token can be chosen");
      tokens[i] = DecodeStep::no_token;
      if (std::ranges::find(options.stop_tokens, token) != options.stop_tokens.end()) continue;
      out[s].push_back(token);
      if (on_token && !on_token(s, token)) return out;
      if (step < options.max_new_tokens && cache.length(slots[i]) < capacity) tokens[i] = token;
    }
    const auto ended = static_cast<std::size_t>(std::ranges::count(tokens, DecodeStep::no_token));
    if (ended == slots.size()) return out;
    if (!decode || is_worth_a_new_step(model.options().device, slots.size(), ended)) {
      for (std::size_t i = slots.size(); i-- > 0;) {
        if (tokens[i] == DecodeStep::no_token) slots.erase(slots.begin() + static_cast<std::ptrdiff_t>(i));
      }
      std::erase(tokens, DecodeStep::no_token);
      if (ended > 0) draws = draw_counts(slots, step, draws.device());
      decode.emplace(model, cache, slots, attachments.generated);
    }
    logits = {};  // the step's own, which it makes anew in the same place
    logits = (*decode)(tokens);
  }
}

}  // namespace csreft
