#include "reft/adapters/merge_lora.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "models/checkpoints/open_checkpoint.h"
#include "tests/error_text.h"
#include "tests/reft/adapters/lora_tools.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_chat.h"
#include "tests/tiny_model.h"

using csreft::Checkpoint;
using csreft::Llama;
using csreft::LoraAdapter;
using csreft::merge_lora;
using csreft::open_checkpoint;
using csreft::Tensor;
using enum csreft::LinearSite;

namespace {

LoraAdapter sample(const csreft::LlamaConfig& config, bool use_rslora) {
  auto adapter = random_lora(
      config, {{0, q_proj, 2, 4}, {0, o_proj, 2, 4}, {1, k_proj, 3, 5}, {1, gate_proj, 2, 4}, {1, down_proj, 2, 4}}, 2,
      4);
  adapter.use_rslora = use_rslora;
  return adapter;
}

// The small chat model with random weights, and biases of every linear layer.
Checkpoint biased(const TinyChat& chat) {
  auto config = open_checkpoint(chat.path()).config;
  config.biases = {.qkv = true, .o = true, .mlp = true};
  Checkpoint checkpoint = tiny_checkpoint(config);
  checkpoint.tokenizer = csreft::TokenizerFolder{chat.path()};
  return checkpoint;
}

Tensor logits(const Llama& model, const csreft::Attachments& attachments = {}) {
  const csreft::NoGrad no_grad;
  const std::vector<std::int64_t> lengths{7, 3};
  const auto batch = csreft::pack_tokens(random_sequences(lengths, model.config().vocab_size));
  return model.logits(model.forward(batch, attachments)).value();
}

double distance(const Tensor& a, const Tensor& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.span<float>().size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(a.span<float>()[i]) - static_cast<double>(b.span<float>()[i])));
  }
  return most;
}

}  // namespace

TEST_CASE("a merged model gives the logits of the base model with the adapter, biases included") {
  const TinyChat chat;
  for (const auto& [use_rslora, has_biases] : {std::pair{false, false}, {true, false}, {false, true}}) {
    CAPTURE(use_rslora);
    CAPTURE(has_biases);
    const auto base = has_biases ? biased(chat) : open_checkpoint(chat.path());
    const TemporaryFolder folder;
    const auto adapter = sample(base.config, use_rslora);
    merge_lora(folder / "out", base, adapter);
    const Llama model(base), merged(open_checkpoint(folder / "out"));
    const auto expected = logits(model, lora_attachments(adapter));
    // The sums W x + s B (A x) and (W + s B A) x differ by f32's rounding.
    CHECK(distance(logits(merged), expected) < 1e-4);
    CHECK(distance(logits(model), expected) > 0.1);
  }
}

TEST_CASE("a merge in bf16 rounds sums once, and leaves other weights as they are") {
  const TinyChat chat;
  const TemporaryFolder folder;
  const auto base = open_checkpoint(chat.path());
  const auto adapter = sample(base.config, false);
  merge_lora(folder / "f32", base, adapter);
  merge_lora(folder / "bf16", base, adapter, {.dtype = csreft::SafeTensors::ElementType::bf16});
  const auto wide = open_checkpoint(folder / "f32"), narrow = open_checkpoint(folder / "bf16");
  for (const auto& [name, shape] : base.shapes) {
    CAPTURE(name);
    const Tensor rounded = wide.tensor(name).to(csreft::DType::bf16).to(csreft::DType::f32);
    CHECK(distance(narrow.tensor(name), rounded) == 0);
    const bool touched = distance(wide.tensor(name), base.tensor(name)) > 0;
    const bool adapted = std::ranges::any_of(
        adapter.modules, [&](const auto& m) { return csreft::module_name(m.layer, m.site) + ".weight" == name; });
    CHECK(touched == adapted);
  }
}

TEST_CASE("an adapter of another model is not merged") {
  const TinyChat chat;
  const TemporaryFolder folder;
  const auto base = open_checkpoint(chat.path());
  const auto refusal = [&](const LoraAdapter& adapter) {
    return error_text([&] {
      merge_lora(folder / "out", base, adapter);
      return 0;
    });
  };
  CHECK(contains(refusal(random_lora(tiny_config(), {{2, q_proj, 2, 4}}, 2, 4)), "has no such tensor"));
  CHECK(
      contains(refusal(random_lora(tiny_config(), {{0, q_proj, 2, 4}}, 2, 4)), "B A is [24, 12], the weight [16, 16]"));
  CHECK(folder.count() == 0);
}
