#include "models/decode_step.h"

#include <utility>

namespace csreft {

DecodeStep::DecodeStep(const Llama& model, KvCache& cache, std::vector<std::int32_t> slots,
                       const Attachments& attachments)
    : model_(model), cache_(cache), slots_(std::move(slots)), recording_(model.options().device, [this, &attachments] {
        logits_ = {};
        logits_ = model_.logits(model_.forward(batch_, attachments, &cache_)).value();
      }) {
  const auto n = static_cast<std::int64_t>(slots_.size());
  const Device device = model.options().device;
  std::vector<std::int32_t> starts;
  for (const std::int32_t slot : slots_) {
    require(cache.length(slot) > 0, "slot {} of the KV cache holds no token: expected a prompt", slot);
    starts.push_back(static_cast<std::int32_t>(slot * cache.capacity()));
  }
  inputs_ = Tensor::zeros({4, n}, DType::i32, device);
  const auto row = [&](std::int64_t i) { return inputs_.slice(i, i + 1).view({n}); };
  batch_ = {.ids = row(0),
            .positions = row(1),
            .layout = {.q_offsets = {}, .k_starts = index_tensor(starts).to(device), .k_lengths = row(3)},
            .cache_rows = row(2),
            .longest = cache.capacity()};
}

const Tensor& DecodeStep::operator()(std::span<const std::int32_t> tokens) {
  require(tokens.size() == slots_.size(), "{} token(s) for {} sequence(s): expected one for each", tokens.size(),
          slots_.size());
  const auto n = static_cast<std::int64_t>(slots_.size());
  const Tensor inputs = Tensor::empty({4, n}, DType::i32);
  const auto row = [&](std::int64_t i) { return inputs.slice(i, i + 1).span<std::int32_t>(); };
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const std::int32_t token = tokens[i], slot = slots_[i];
    require(no_token <= token && token < model_.config().vocab_size,
            "token id {} lies outside the model's vocabulary of {}", token, model_.config().vocab_size);
    if (token != no_token) cache_.extend(slot);
    const auto length = static_cast<std::int32_t>(cache_.length(slot));
    row(0)[i] = token == no_token ? 0 : token;
    row(1)[i] = length - 1;
    row(2)[i] = static_cast<std::int32_t>(slot * cache_.capacity()) + length - 1;
    row(3)[i] = length;
  }
  ops::copy_(inputs_, inputs);
  const NoGrad no_grad;
  recording_.run();
  return logits_;
}

}  // namespace csreft
