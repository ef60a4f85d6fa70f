#include "models/llama/decode_step.h"

#include <algorithm>
#include <utility>

namespace csreft {

DecodeStep::DecodeStep(const Llama& model, KvCache& cache, Attachments attachments, std::vector<std::int32_t> slots,
                       std::span<const std::int32_t> tokens, const Drawing& drawing)
    : model_(model),
      cache_(cache),
      slots_(std::move(slots)),
      tokens_(tokens.begin(), tokens.end()),
      ended_(slots_.size(), false),
      readback_(model.options().device, static_cast<std::int64_t>(slots_.size())),
      recording_(model.options().device, [this, attachments = std::move(attachments), drawing] {
        logits_ = {};
        logits_ = model_.logits(model_.forward(batch_, attachments, &cache_)).value();
        ops::sample_(logits_, drawing.sampling, drawing.first_stream, draws_, next_);
        ops::advance_step_(step_, next_, drawn_);
      }) {
  require(tokens_.size() == slots_.size(), "{} token(s) for {} sequence(s): expected one for each", tokens_.size(),
          slots_.size());
  std::vector<std::int32_t> starts;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    require(cache.length(slots_[i]) > 0, "slot {} of the KV cache holds no token: expected a prompt", slots_[i]);
    require(0 <= tokens_[i] && tokens_[i] < model.config().vocab_size,
            "token id {} lies outside the model's vocabulary of {}", tokens_[i], model.config().vocab_size);
    starts.push_back(static_cast<std::int32_t>(slots_[i] * cache.capacity()));
  }
  const auto n = static_cast<std::int64_t>(slots_.size());
  const Device device = model.options().device;
  draws_ = draw_counts(slots_, drawing.drawn, device);
  drawn_ = Tensor::zeros({cache.capacity(), n}, DType::i32, device);
  next_ = Tensor::zeros({n}, DType::i32, device);
  inputs_ = Tensor::zeros({6, n}, DType::i32, device);
  const auto row = [&](std::int64_t i) { return inputs_.slice(i, i + 1).view({n}); };
  step_ = {row(0), row(1), row(2), row(3), row(4), row(5)};
  batch_ = {.ids = step_.ids,
            .positions = step_.positions,
            .layout = {.q_offsets = {}, .k_starts = index_tensor(starts).to(device), .k_lengths = step_.lengths},
            .cache_rows = step_.cache_rows,
            .reads_cache = true,
            .longest = cache.capacity()};
}

// What the device goes on with by itself until a sequence ends.
void DecodeStep::write_inputs() {
  const auto n = static_cast<std::int64_t>(slots_.size());
  const Tensor inputs = Tensor::empty({6, n}, DType::i32);
  const auto row = [&](std::int64_t i) { return inputs.slice(i, i + 1).span<std::int32_t>(); };
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto length = static_cast<std::int32_t>(cache_.length(slots_[i]));
    row(0)[i] = std::max(tokens_[i], 0);
    row(1)[i] = length - 1;
    row(2)[i] = static_cast<std::int32_t>(slots_[i] * cache_.capacity()) + length - 1;
    row(3)[i] = length;
    row(4)[i] = ended_[i] ? 0 : 1;
    row(5)[i] = steps_;
  }
  ops::copy_(inputs_, inputs);
  inputs_written_ = true;
}

void DecodeStep::start() {
  require(!started_, "a step is started before the tokens of the last are taken");
  require(std::ranges::count(ended_, false) > 0, "a step of sequences that have all ended: expected one that goes on");
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!ended_[i]) cache_.extend(slots_[i]);
  }
  if (!inputs_written_) write_inputs();
  started_ = true;
  if (model_.options().device.type != DeviceType::cpu) run();
}

void DecodeStep::run() {
  const NoGrad no_grad;
  recording_.run();
  readback_.start(drawn_.slice(steps_, steps_ + 1).view({drawn_.cols()}));
}

const std::vector<std::int32_t>& DecodeStep::tokens() {
  require(std::exchange(started_, false), "no step has been started whose tokens could be taken");
  if (model_.options().device.type == DeviceType::cpu) run();
  const auto drawn = readback_.wait();
  tokens_.assign(drawn.begin(), drawn.end());
  ++steps_;
  return tokens_;
}

void DecodeStep::end(const std::vector<bool>& ended) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!ended.at(i) || ended_[i]) continue;
    ended_[i] = true;
    inputs_written_ = false;
  }
}

}  // namespace csreft
