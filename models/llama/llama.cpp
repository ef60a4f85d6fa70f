#include "models/llama/llama.h"

#include <algorithm>
#include <array>
#include <mutex>

#include "autograd/checkpoint.h"
#include "core/base/nearest.h"
#include "core/ops/stored_rows.h"
#include "models/llama/rope.h"

namespace csreft {
namespace {

constexpr std::array<std::string_view, 7> site_names{"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                     "gate_proj", "up_proj", "down_proj"};

bool has_bias(const LinearBiases& biases, LinearSite site) {
  if (site == LinearSite::o_proj) return biases.o;
  return site < LinearSite::o_proj ? biases.qkv : biases.mlp;
}

Tensor f64_tensor(const std::vector<double>& values) {
  return Tensor::from(std::span<const double>(values), {static_cast<std::int64_t>(values.size())});
}

}  // namespace

Packing packing_of(Weights weights, const LlamaConfig& config) {
  if (weights == Weights::frozen_bf16) return Packing::bf16;
  if (weights == Weights::frozen_tf32) return Packing::tf32;
  return parameter_count(config) * static_cast<std::int64_t>(sizeof(float)) <= max_f32_copies ? Packing::automatic
                                                                                              : Packing::rows;
}

struct Llama::LazyFingerprint {
  Checkpoint checkpoint;
  std::once_flag once;
  Fingerprint made;
};

std::span<const std::string_view> linear_site_names() { return site_names; }

std::string_view to_string(LinearSite site) { return site_names[static_cast<std::size_t>(site)]; }

LinearSite parse_linear_site(std::string_view name) {
  const auto found = std::ranges::find(site_names, name);
  if (found == site_names.end()) fail_unknown("linear layer", name, site_names);
  return static_cast<LinearSite>(found - site_names.begin());
}

Llama::Llama(const Checkpoint& checkpoint, Weights weights, const TensorOptions& options)
    : config_(checkpoint.config), options_(options), bf16_(weights == Weights::frozen_bf16) {
  check_complete(checkpoint);
  const bool trainable = weights == Weights::trainable;
  fingerprint_ = std::make_shared<LazyFingerprint>();
  fingerprint_->checkpoint = checkpoint;
  const auto read = [&](const std::string& name) { return checkpoint.tensor(name).to(options); };
  const auto variable = [&](const std::string& name) {
    const Tensor value = read(name);
    if (!trainable) return Variable(value);
    // A parameter is written to, so it must not lie in a mapped file.
    parameters_.emplace_back(name, Variable::parameter(value.clone()));
    return parameters_.back().second;
  };
  const auto stored = [&](const std::string& name) -> std::optional<StoredMatrix> {
    const bool keeps = !trainable && options.dtype == DType::f32 && options.device == Device{};
    return keeps ? checkpoint.stored(name) : std::nullopt;
  };
  const Packing packing = packing_of(weights, config_);
  const auto matrix = [&](const std::string& name) -> LinearWeight {
    if (trainable) return variable(name);
    if (const auto kept = stored(name)) return PackedMatrix(*kept, packing);
    return PackedMatrix(read(name), packing);
  };

  if (const auto kept = stored("model.embed_tokens.weight")) {
    embedding_ = *kept;
  } else {
    embedding_ = variable("model.embed_tokens.weight");
  }
  for (std::int64_t l = 0; l < config_.n_layers; ++l) {
    const std::string prefix = fmt::format("model.layers.{}.", l);
    layers_.push_back({.attention_norm = variable(prefix + "input_layernorm.weight"),
                       .ffn_norm = variable(prefix + "post_attention_layernorm.weight"),
                       .q_proj = matrix(prefix + "self_attn.q_proj.weight"),
                       .k_proj = matrix(prefix + "self_attn.k_proj.weight"),
                       .v_proj = matrix(prefix + "self_attn.v_proj.weight"),
                       .o_proj = matrix(prefix + "self_attn.o_proj.weight"),
                       .gate_proj = matrix(prefix + "mlp.gate_proj.weight"),
                       .up_proj = matrix(prefix + "mlp.up_proj.weight"),
                       .down_proj = matrix(prefix + "mlp.down_proj.weight"),
                       .biases = {}});
    for (std::size_t i = 0; i < site_names.size(); ++i) {
      const auto site = static_cast<LinearSite>(i);
      const char* part = site <= LinearSite::o_proj ? "self_attn" : "mlp";
      if (!has_bias(config_.biases, site)) continue;
      layers_.back().biases[i] = variable(fmt::format("{}{}.{}.bias", prefix, part, site_names[i]));
    }
  }
  norm_ = variable("model.norm.weight");
  if (!config_.tie_word_embeddings) {
    head_ = matrix("lm_head.weight");
  } else if (trainable) {
    head_ = std::get<Variable>(embedding_);
  } else if (const auto* kept = std::get_if<StoredMatrix>(&embedding_)) {
    head_ = PackedMatrix(*kept, packing);
  } else {
    head_ = PackedMatrix(std::get<Variable>(embedding_).value(), packing);
  }

  inverse_frequencies_ = f64_tensor(rope_inverse_frequencies(config_));
}

Variable Llama::embed(const RowIndex& ids) const {
  if (const auto* kept = std::get_if<StoredMatrix>(&embedding_)) return Variable(ops::gather_rows(*kept, ids));
  return gather_rows(std::get<Variable>(embedding_), ids);
}

std::int64_t Llama::read_bytes(std::int64_t tokens) const {
  std::int64_t sum = 0;
  const auto add = [&](const LinearWeight& weight) {
    const auto* packed = std::get_if<PackedMatrix>(&weight);
    if (packed != nullptr) {
      sum += packed->read_bytes(tokens);
    } else {
      const Tensor& value = std::get<Variable>(weight).value();
      sum += value.numel() * static_cast<std::int64_t>(size_of(value.dtype()));
    }
  };
  for (const auto& layer : layers_) {
    for (const auto* weight : {&layer.q_proj, &layer.k_proj, &layer.v_proj, &layer.o_proj, &layer.gate_proj,
                               &layer.up_proj, &layer.down_proj}) {
      add(*weight);
    }
  }
  add(head_);
  return sum;
}

const Fingerprint& Llama::fingerprint() const {
  LazyFingerprint& lazy = *fingerprint_;
  std::call_once(lazy.once, [&] {
    if (!lazy.checkpoint.is_drawn) lazy.made = csreft::fingerprint(lazy.checkpoint);
    lazy.checkpoint = {};
  });
  return lazy.made;
}

void Llama::check(const TokenBatch& batch) const {
  if (batch.ids.device() != Device{}) return;  // of a step, whose maker has checked it
  for (const auto id : batch.ids.span<std::int32_t>()) {
    require(id >= 0 && id < config_.vocab_size, "token id {} lies outside the model's vocabulary of {}", id,
            config_.vocab_size);
  }
  const std::int64_t context = context_length(config_);
  for (const auto position : batch.positions.span<std::int32_t>()) {
    require(position < context, "a sequence of {} tokens or more exceeds {}", position + 1, context_text(config_));
  }
}

// With a cache the frequencies must not change from token to token, as keys are kept turned: what it can hold counts.
Tensor Llama::inverse_frequencies(const TokenBatch& batch, const KvCache* cache) const {
  if (!std::holds_alternative<DynamicRope>(config_.rope_scaling)) return inverse_frequencies_;
  const auto longest = [&]() -> std::int64_t { return std::ranges::max(batch.positions.span<std::int32_t>()) + 1; };
  const std::int64_t length = cache != nullptr ? cache->capacity() : longest();
  if (length <= config_.max_position_embeddings) return inverse_frequencies_;
  return f64_tensor(rope_inverse_frequencies(config_, length));
}

TensorOptions Llama::cache_options() const {
  const bool keeps_bf16 = bf16_ && options_.device.type != DeviceType::cpu;
  return {keeps_bf16 ? DType::bf16 : options_.dtype, options_.device};
}

Variable Llama::forward(const TokenBatch& batch, const Attachments& attachments, const KvCache* cache) const {
  check(batch);
  const auto attached = [&](std::int64_t layer) {
    const auto& layers = attachments.block_output_layers;
    return attachments.block_output && (!layers || layers->contains(layer));
  };
  Stream stream{embed(batch.ids), {}};
  for (std::int64_t layer = 0; layer < config_.n_layers; ++layer) {
    stream = attachments.checkpointing && cache == nullptr ? checkpointed_block(layer, stream, batch, attachments)
                                                           : block(layer, stream, batch, attachments, cache);
    if (attached(layer)) stream = {attachments.block_output(layer, stream.sum()), {}};
  }
  return normalise(stream, norm_).norm;
}

Tensor Llama::hidden_states(const TokenBatch& batch, std::int64_t layer) const {
  require(0 <= layer && layer < config_.n_layers, "layer {} does not exist: the model has layers 0 to {}", layer,
          config_.n_layers - 1);
  check(batch);
  const NoGrad no_grad;
  Stream stream{embed(batch.ids), {}};
  for (std::int64_t l = 0; l <= layer; ++l) stream = block(l, stream, batch, {}, nullptr);
  return stream.sum().value();
}

AddedAndNormed Llama::normalise(const Stream& stream, const Variable& weight) const {
  const auto& [hidden, update] = stream;
  if (update.defined()) return add_rms_norm(hidden, update, weight, config_.rms_norm_eps);
  return {hidden, rms_norm(hidden, weight, config_.rms_norm_eps)};
}

Llama::Stream Llama::checkpointed_block(std::int64_t layer, const Stream& stream, const TokenBatch& batch,
                                        const Attachments& attachments) const {
  const auto run = [this, layer, batch, linear = attachments.linear](std::span<const Variable> in) {
    Attachments within;
    within.linear = linear;
    const Stream out = block(layer, {in[0], in[1]}, batch, within, nullptr);
    return std::vector{out.hidden, out.update};
  };
  const std::vector<Variable> out = checkpoint(run, std::array{stream.hidden, stream.update});
  return {out[0], out[1]};
}

// h += attention(norm(h)); h += down(silu(gate(norm(h))) * up(norm(h)))
Llama::Stream Llama::block(std::int64_t layer, const Stream& stream, const TokenBatch& batch,
                           const Attachments& attachments, const KvCache* cache) const {
  const LlamaLayer& weights = layers_[static_cast<std::size_t>(layer)];
  const auto attach = [&](LinearSite site, const Variable& x, const Variable& product) {
    const Variable& bias = weights.biases[static_cast<std::size_t>(site)];
    const Variable y = bias.defined() ? add_row(product, bias) : product;
    return attachments.linear ? attachments.linear(layer, site, x, y) : y;
  };
  const Tensor frequencies = inverse_frequencies(batch, cache);
  const double turned_size = rope_attention_factor(config_);
  const auto turn = [&](const Variable& x) {
    const Variable turned = rope(x, batch.positions, frequencies);
    return turned_size == 1 ? turned : scale(turned, turned_size);
  };
  const ops::AttentionHeads heads{config_.n_heads, config_.n_kv_heads, config_.head_dim, bf16_};

  const auto [hidden, x] = normalise(stream, weights.attention_norm);
  const auto qkv = linears(x, {weights.q_proj, weights.k_proj, weights.v_proj});
  const Variable q = turn(attach(LinearSite::q_proj, x, qkv[0]));
  Variable k = turn(attach(LinearSite::k_proj, x, qkv[1]));
  Variable v = attach(LinearSite::v_proj, x, qkv[2]);
  if (cache != nullptr) {
    require(!k.requires_grad() && !v.requires_grad(), "keys and values in a cache have no gradient: expected NoGrad");
    ops::scatter_rows_(cache->keys(layer), batch.cache_rows, k.value());
    ops::scatter_rows_(cache->values(layer), batch.cache_rows, v.value());
    // A step reads what is kept as it is.
    const auto read = [&](const Tensor& kept) { return Variable(batch.longest > 0 ? kept : kept.to(options_.dtype)); };
    if (batch.reads_cache) {
      k = read(cache->keys(layer));
      v = read(cache->values(layer));
    }
  }
  const Variable mixed = batch.longest > 0
                             ? Variable(ops::attention_step(q.value(), k.value(), v.value(), batch.layout.k_starts,
                                                            batch.layout.k_lengths, batch.longest, heads))
                             : attention(q, k, v, batch.layout, heads);
  const auto [after_attention, z] =
      normalise({hidden, attach(LinearSite::o_proj, mixed, linear(mixed, weights.o_proj))}, weights.ffn_norm);

  const auto gate_and_up = linears(z, {weights.gate_proj, weights.up_proj});
  const Variable gated =
      silu_mul(attach(LinearSite::gate_proj, z, gate_and_up[0]), attach(LinearSite::up_proj, z, gate_and_up[1]));
  return {after_attention, attach(LinearSite::down_proj, gated, linear(gated, weights.down_proj))};
}

}  // namespace csreft
