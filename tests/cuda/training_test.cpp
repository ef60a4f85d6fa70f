// Training and generation on a CUDA device, real or emulated, against the CPU.
#include <algorithm>
#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "models/llama/generate.h"
#include "reft/stiefel/stiefel.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"
#include "tests/reft/method_tools.h"
#include "tests/tiny_chat.h"

namespace {

using csreft::Device;
using Sequences = std::vector<std::vector<std::int32_t>>;

// Sizes of the tiny model, and the options that are varied.
csreft::MethodOptions small(const char* method, nlohmann::json values) {
  values.update({{"layers", "0,1"}, {"rank", 2}, {"subspaces", 2}, {"router_hidden", 4}});
  return options_for(method, std::move(values));
}

csreft::MethodOptions of_preset(std::string_view preset) {
  return small("csreft", csreft::find_preset(preset).method.values);
}

csreft::MethodOptions of_method(const char* name) { return small(name, {{"edit_start", "identity"}}); }

struct Run {
  std::vector<double> losses, gradient_norms;
  double orthonormality = 0.0;  // the largest element of R R^T - I after the last step
  Sequences before, after;      // greedy tokens
};

// Each subspace is on a manifold of its own.
double orthonormality(const csreft::Method& method) {
  double largest = 0.0;
  for (const auto& p : method.parameters()) {
    if (p.manifold != csreft::ParameterManifold::stiefel) continue;
    largest = std::max(largest, csreft::orthonormality_error(p.value.value().to(Device{}), p.block_rows));
  }
  return largest;
}

// Trains a method from the same start on the device, and lets the model go on from two prompts before and after.
Run run_on(const Device& device, const csreft::MethodOptions& trained,
           csreft::Weights weights = csreft::Weights::frozen) {
  static const TinyChat chat;
  const auto model = csreft::load_language_model(chat.path(), {}, weights, device);
  const auto method = csreft::create_method(trained, model.llama, /*seed=*/5);
  csreft::TrainOptions options;
  options.batch = 4;
  options.epochs = 5;
  options.lr = 1e-2;
  options.seed = 3;
  options.quiet = true;
  const auto tokens = [&](const csreft::Method* edited) {
    return csreft::generate(model.llama, Sequences{{5, 60, 7, 21}, {9, 33, 101, 64, 12}},
                            {.max_new_tokens = 8, .stop_tokens = {}, .sampling = {}},
                            csreft::generation_attachments(edited));
  };
  Run run;
  run.before = tokens(nullptr);
  const auto result = csreft::Trainer(model, *method, std::vector<csreft::Task>{letter_task(12)}, options).run();
  for (const auto& step : result.steps) run.gradient_norms.push_back(step.gradient_norm);
  run.losses = result.losses();
  run.orthonormality = orthonormality(*method);
  run.after = tokens(method.get());
  return run;
}

// The two sum in other orders in f32, and nothing else differs. On cards and on the emulated device losses of about 5
// part by 1e-7 to 5e-7, an f32's last bit, and norms of gradients by 1e-6 of themselves at most, which a card's own
// order of longer sums may exceed.
constexpr double loss_tolerance = 1e-6;
constexpr double gradient_tolerance = 1e-4;  // of the norm
// R R^T sums 16 products of elements that a retraction has rounded to f32: some 1e-7.
constexpr double orthonormality_tolerance = 1e-6;

void check_same(const csreft::MethodOptions& trained) {
  const Run cpu = run_on({}, trained), cuda = run_on(test_device(), trained);
  constexpr std::size_t steps = 15;
  REQUIRE(cpu.losses.size() == steps);
  REQUIRE(cuda.losses.size() == steps);
  CHECK(cpu.losses.back() < .9 * cpu.losses.front());  // it learns, so the losses depend on the gradients
  for (std::size_t i = 0; i < steps; ++i) {
    CAPTURE(i);
    CHECK(std::abs(cuda.losses[i] - cpu.losses[i]) < loss_tolerance);
    CHECK(std::abs(cuda.gradient_norms[i] - cpu.gradient_norms[i]) < gradient_tolerance * cpu.gradient_norms[i]);
  }
  CHECK(cuda.orthonormality < orthonormality_tolerance);
  CHECK(cuda.before == cpu.before);
  CHECK(cuda.after == cpu.after);
  CHECK(cpu.after != cpu.before);
}

}  // namespace

TEST_CASE("cuda: CS-ReFT's losses, step by step, are the CPU's to 1e-6, and so are the tokens afterwards") {
  // The learned router in both forms, R on the Stiefel manifold.
  for (const char* preset : {"specialised", "paper"}) {
    CAPTURE(preset);
    check_same(of_preset(preset));
  }
}

TEST_CASE("cuda: a model computes in TF32 where that is asked for, and nowhere else") {
  const TinyChat chat;
  const auto logits = [&](csreft::Weights weights) {
    const auto model = csreft::load_language_model(chat.path(), {}, weights, test_device());
    const csreft::NoGrad no_grad;
    const auto batch = csreft::pack_tokens(Sequences{{5, 60, 7, 21}, {9, 33}});
    return model.llama.logits(model.llama.forward(batch)).value().to(Device{});
  };
  const auto f32 = logits(csreft::Weights::frozen), tf32 = logits(csreft::Weights::frozen_tf32);
  CHECK(csreft::test::same_bits(f32, logits(csreft::Weights::frozen)));
  const double effect = csreft::test::distance(f32, tf32);
  CHECK(effect > 1e-5);
  CHECK(effect < 2e-2);  // two layers of factors that are rounded by up to one in 2^11
}

TEST_CASE("cuda: losses of LoReFT and LoRA, step by step, are the CPU's to 1e-6, and so are the tokens afterwards") {
  for (const char* method : {"loreft", "lora"}) {
    CAPTURE(method);
    check_same(of_method(method));
  }
}

TEST_CASE("cuda: training with weights in bf16 follows the CPU's with weights in f32, as far as its rounding lets it") {
  for (const char* method : {"loreft", "lora"}) {
    CAPTURE(method);
    const Run f32 = run_on({}, of_method(method));
    const Run bf16 = run_on(test_device(), of_method(method), csreft::Weights::frozen_bf16);
    REQUIRE(bf16.losses.size() == f32.losses.size());
    double largest = 0.0;
    for (std::size_t i = 0; i < f32.losses.size(); ++i) {
      CAPTURE(i);
      largest = std::max(largest, std::abs(bf16.losses[i] - f32.losses[i]));
      CHECK(bf16.gradient_norms[i] == doctest::Approx(f32.gradient_norms[i]).epsilon(0.1));
    }
    CHECK(largest > 0.0);
    CHECK(largest < 2e-2);
  }
}

TEST_CASE("cuda: a model in bf16 rounds the factors of attention, too, from 16 tokens on") {
  const csreft::Llama llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen_bf16,
                            {csreft::DType::f32, test_device()});
  const csreft::NoGrad no_grad;
  const Sequences whole = random_sequences(std::vector<std::int64_t>{40}, tiny_config().vocab_size, 6);
  // Hidden states of the first eight tokens of a text, which no later token reaches.
  const auto first = [&](std::int32_t length) {
    const std::vector<std::int32_t> ids(whole[0].begin(), whole[0].begin() + length);
    return llama.forward(csreft::pack_tokens(Sequences{ids})).value().to(Device{}).slice(0, 8).clone();
  };
  const double effect = csreft::test::distance(first(15), first(40));
  CHECK(effect > 1e-4);
  CHECK(effect < 3e-2);
}

TEST_CASE("cuda: a model in bf16 keeps keys and values in it, and generates what whole sequences give") {
  const csreft::TensorOptions f32{csreft::DType::f32, test_device()};
  CHECK(csreft::Llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen, f32).cache_options().dtype ==
        csreft::DType::f32);
  const csreft::Llama llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen_bf16, f32);
  CHECK(llama.cache_options().dtype == csreft::DType::bf16);
  const csreft::NoGrad no_grad;
  const Sequences prompts = random_sequences(std::vector<std::int64_t>{3, 21}, tiny_config().vocab_size, 6);
  const auto out = generate(llama, prompts, {.max_new_tokens = 8, .stop_tokens = {}, .sampling = {}});
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    CAPTURE(i);
    std::vector<std::int32_t> ids = prompts[i];
    REQUIRE(out[i].size() == 8);
    for (const std::int32_t token : out[i]) {
      const auto hidden = llama.forward(csreft::pack_tokens(Sequences{ids}));
      const auto logits = llama.logits(hidden).value().to(Device{});
      const auto last = logits.slice(logits.rows() - 1, logits.rows()).clone();
      const auto values = last.span<float>();
      CHECK(std::ranges::max_element(values) - values.begin() == token);
      ids.push_back(token);
    }
  }
}
