#include "models/generate.h"

#include <algorithm>
#include <numeric>

namespace csreft {
namespace {

// Logits of the last token of each sequence, [sequences, vocabulary], on the host, where tokens are drawn.
Tensor last_logits(const Llama& model, const TokenBatch& batch, const Attachments& attachments, const KvCache& cache) {
  const Variable hidden = model.forward(batch, attachments, &cache);
  std::vector<std::int32_t> last;
  for (const auto end : batch.layout.q_offsets.span<std::int32_t>().subspan(1)) last.push_back(end - 1);
  return model.logits(Variable(ops::gather_rows(hidden.value(), index_tensor(last)))).value().to(Device{});
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
  std::vector<Random> random;
  for (std::size_t s = 0; s < prompts.size(); ++s) random.emplace_back(options.sampling.seed, first_stream + s);

  std::vector<std::int32_t> active(prompts.size());
  std::iota(active.begin(), active.end(), 0);
  TokenBatch batch = cache.extend(active, prompts);
  Tensor logits = last_logits(model, batch, attachments.prompt ? attachments.prompt(batch) : Attachments{}, cache);
  for (std::int64_t step = 1;; ++step) {
    std::vector<std::int32_t> going_on;
    std::vector<std::vector<std::int32_t>> next;
    for (std::size_t i = 0; i < active.size(); ++i) {
      const auto s = static_cast<std::size_t>(active[i]);
      const Tensor row = logits.slice(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1).to(DType::f32);
      const std::int32_t token = sample(row.span<float>(), options.sampling, random[s]);
      if (std::ranges::find(options.stop_tokens, token) != options.stop_tokens.end()) continue;
      out[s].push_back(token);
      if (on_token && !on_token(s, token)) return out;
      if (step == options.max_new_tokens || cache.length(active[i]) == capacity) continue;
      going_on.push_back(active[i]);
      next.push_back({token});
    }
    if (going_on.empty()) return out;
    active = going_on;
    batch = cache.extend(active, next);
    logits = last_logits(model, batch, attachments.generated, cache);
  }
}

}  // namespace csreft
