#include "models/llama/generate.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/ops/checks.h"
#include "models/llama/decode_step.h"

namespace csreft {
namespace {

// Logits of the last token of each sequence, [sequences, vocabulary].
Tensor last_logits(const Llama& model, const TokenBatch& batch, const Attachments& attachments, const KvCache& cache) {
  const Variable hidden = model.forward(batch, attachments, &cache);
  std::vector<std::int32_t> last;
  for (const auto end : batch.layout.q_offsets.span<std::int32_t>().subspan(1)) last.push_back(end - 1);
  return model.logits(Variable(ops::gather_rows(hidden.value(), index_tensor(last)))).value();
}

// The sequences that take part; some may have ended.
struct Sequences {
  std::vector<std::int32_t> slots;   // of the cache, which are the indices of the prompts
  std::vector<std::int32_t> tokens;  // the last that each has drawn
  std::vector<bool> ended;

  std::size_t n_ended() const { return static_cast<std::size_t>(std::ranges::count(ended, true)); }
  void drop_ended();
};

void Sequences::drop_ended() {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (ended[i]) continue;
    slots[kept] = slots[i];
    tokens[kept++] = tokens[i];
  }
  slots.resize(kept);
  tokens.resize(kept);
  ended.assign(kept, false);
}

struct NewToken {
  std::size_t sequence;
  std::int32_t id;
};

// What is new to whoever hears of tokens, after each sequence has drawn `drawn` times. Marks the sequences that end.
std::vector<NewToken> new_tokens(Sequences& sequences, const GenerationOptions& options, std::int32_t drawn,
                                 const KvCache& cache) {
  std::vector<NewToken> out;
  for (std::size_t i = 0; i < sequences.slots.size(); ++i) {
    if (sequences.ended[i]) continue;
    const std::int32_t token = sequences.tokens[i], slot = sequences.slots[i];
    require(token >= 0, "the model's logits are not finite: no token can be chosen");
    const bool stops = std::ranges::find(options.stop_tokens, token) != options.stop_tokens.end();
    if (!stops) out.push_back({static_cast<std::size_t>(slot), token});
    sequences.ended[i] = stops || drawn == options.max_new_tokens || cache.length(slot) == cache.capacity();
  }
  return out;
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
  const std::int64_t context = context_length(model.config());
  require(static_cast<std::int64_t>(longest) <= context, "a prompt of {} tokens exceeds {}", longest,
          context_text(model.config()));
  return std::min(context, static_cast<std::int64_t>(longest) + max_new_tokens);
}

}  // namespace

// Whether a sequence has ended is known from its token, so each step's tokens come to the host before the next step
// starts: one that is started for nothing would take a device longer than the wait for four bytes. Whoever hears of the
// tokens does so while the device computes the next.
std::vector<std::vector<std::int32_t>> generate(const Llama& model, std::span<const std::vector<std::int32_t>> prompts,
                                                const GenerationOptions& options,
                                                const GenerationAttachments& attachments, const OnToken& on_token,
                                                std::uint64_t first_stream) {
  checks::sampling(options.sampling);
  require(options.max_new_tokens >= 1, "{} new tokens are not possible: expected 1 or more", options.max_new_tokens);
  std::vector<std::vector<std::int32_t>> out(prompts.size());
  if (prompts.empty()) return out;

  const NoGrad no_grad;
  const Device device = model.options().device;
  const std::int64_t capacity = cache_capacity(model, prompts, options.max_new_tokens);
  KvCache cache(model.config(), static_cast<std::int64_t>(prompts.size()), capacity, model.cache_options());

  Sequences sequences{.slots = std::vector<std::int32_t>(prompts.size()), .tokens = {}, .ended = {}};
  std::iota(sequences.slots.begin(), sequences.slots.end(), 0);
  sequences.ended.assign(prompts.size(), false);
  const TokenBatch batch = cache.extend(sequences.slots, prompts);
  const Tensor logits =
      last_logits(model, batch, attachments.prompt ? attachments.prompt(batch) : Attachments{}, cache);
  sequences.tokens = sample(logits, options.sampling, first_stream, draw_counts(sequences.slots, 0, device));
  std::optional<DecodeStep> decode;
  for (std::int32_t drawn = 1;; ++drawn) {
    const std::vector<NewToken> reported = new_tokens(sequences, options, drawn, cache);
    const std::size_t n = sequences.slots.size(), n_ended = sequences.n_ended();
    if (n_ended < n) {
      if (!decode || is_worth_a_new_step(device, n, n_ended)) {
        sequences.drop_ended();
        decode.reset();
        decode.emplace(model, cache, attachments.generated ? attachments.generated(sequences.slots) : Attachments{},
                       sequences.slots, sequences.tokens, Drawing{options.sampling, first_stream, drawn});
      }
      decode->end(sequences.ended);
      decode->start();
    }
    for (const auto& [sequence, token] : reported) {
      out[sequence].push_back(token);
      if (on_token && !on_token(sequence, token)) return out;
    }
    if (n_ended == n) return out;
    sequences.tokens = decode->tokens();
  }
}

}  // namespace csreft
