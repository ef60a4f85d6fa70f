// Edits of generated tokens on a CUDA device, real or emulated, against the CPU in f64: the step that makes a token is
// recorded (core/device/recording.h) with whatever edits it.
#include <memory>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/tensor/random.h"
#include "models/llama/generate.h"
#include "reft/adapters/adapter_set.h"
#include "tests/device.h"
#include "tests/reft/method_tools.h"

using csreft::AdapterSet;
using csreft::Device;
using csreft::DType;
using csreft::MethodOptions;
using nlohmann::json;

namespace {

using Uses = std::vector<std::vector<std::size_t>>;

const std::vector<TokenIds>& prompts() {
  static const auto made =
      random_sequences(std::vector<std::int64_t>{4, 7, 2, 11}, tiny_config().vocab_size, /*seed=*/8);
  return made;
}

csreft::Llama llama_on(const Device& device) {
  return csreft::Llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen, {DType::f64, device});
}

// A method whose parameters have all left their start, the same on every device.
std::shared_ptr<csreft::Method> moved(const MethodOptions& options, const csreft::Llama& model, std::uint64_t seed) {
  std::shared_ptr<csreft::Method> method = csreft::create_method(options, model, seed);
  std::uint64_t stream = 0;
  for (const auto& p : method->parameters()) {
    csreft::ops::add_(p.value.value(),
                      csreft::random_normal(p.value.shape(), 0.0, 0.5, seed, stream++, model.options()));
  }
  return method;
}

// The new tokens of all prompts; attach(batch) begins the pass that edits them.
template <typename Attach>
std::vector<TokenIds> tokens_of(const csreft::Llama& model, const std::vector<std::int32_t>& stop_tokens,
                                const Attach& attach) {
  std::unique_ptr<csreft::MethodPass> pass;
  csreft::GenerationAttachments attachments;
  attachments.prompt = [&](const csreft::TokenBatch& batch) {
    pass = attach({batch, csreft::whole_prompts(batch)});
    return pass->points();
  };
  attachments.generated = [&](std::span<const std::int32_t> sequences) { return pass->generated(sequences); };
  return csreft::generate(model, prompts(), {.max_new_tokens = 10, .stop_tokens = stop_tokens, .sampling = {}},
                          attachments);
}

std::vector<TokenIds> tokens_on(const Device& device, const MethodOptions& options,
                                const std::vector<std::int32_t>& stop_tokens = {}) {
  const auto model = llama_on(device);
  const auto method = moved(options, model, /*seed=*/5);
  return tokens_of(model, stop_tokens, [&](const csreft::PromptBatch& batch) { return method->attach(batch); });
}

// Of all prompts, and where sequences end one by one: those that go on have a step of their own.
void check_same(MethodOptions options) {
  const auto free = tokens_on({}, options);
  CHECK(tokens_on(test_device(), options) == free);
  const std::vector<std::int32_t> stops{free[0][2], free[3][4]};
  const auto stopped = tokens_on({}, options, stops);
  CHECK(stopped != free);
  CHECK(tokens_on(test_device(), options, stops) == stopped);
  // The edits of generated tokens matter.
  options["positions"] = "all";
  CHECK(tokens_on({}, options) != free);
}

json at_layers(const char* layers, const json& more = json::object()) {
  json values{{"layers", layers}, {"rank", 2}, {"positions", "everywhere"}};
  values.update(more);
  return values;
}

// CS-ReFT of three subspaces.
MethodOptions gated(const json& more) {
  json values = at_layers("1,2", {{"edit", "loreft"},
                                  {"subspaces", 3},
                                  {"router_hidden", 4},
                                  {"penalty", "none"},
                                  {"lambda", 0.0},
                                  {"router_input", "hidden"}});
  values.update(more);
  return {"csreft", std::move(values)};
}

std::vector<TokenIds> set_tokens_on(const Device& device, const Uses& uses,
                                    const std::vector<std::int32_t>& stop_tokens = {}) {
  const auto model = llama_on(device);
  const AdapterSet set({{"edits", moved({"loreft", at_layers("1")}, model, 1)},
                        {"lora", moved({"lora", {{"layers", "0"}, {"rank", 2}}}, model, 2)},
                        {"gated", moved(gated({{"gate", "soft"}, {"router_input", "prompt_mean"}}), model, 3)},
                        {"by-token", moved(gated({{"gate", "top1"}, {"gate_scope", "token"}}), model, 4)}},
                       {0}, {.alpha = {}, .scale = 0.7});
  return tokens_of(model, stop_tokens, [&](const csreft::PromptBatch& batch) { return set.attach(batch, uses); });
}

}  // namespace

TEST_CASE("cuda: generated tokens that are edited are the CPU's") {
  check_same({"loreft", at_layers("0,2")});
  check_same({"loreft", at_layers("1", {{"activation", "gelu"}})});
  for (const char* method : {"lobireft", "red"}) {
    CAPTURE(method);
    check_same(options_for(method, at_layers("1")));
  }
}

TEST_CASE("cuda: generated tokens that are edited with gates of their prompt are the CPU's") {
  for (const char* gate : {"soft", "top1"}) {
    CAPTURE(gate);
    check_same(gated({{"gate", gate}, {"router_input", "prompt_mean"}}));
  }
  check_same(gated({{"gate", "soft"}, {"shared", 1}}));
}

TEST_CASE("cuda: generated tokens that decide their own gates are the CPU's") {
  for (const char* gate : {"soft", "softmax", "top1", "topk", "hard", "gumbel"}) {
    CAPTURE(gate);
    check_same(gated({{"gate", gate}, {"gate_scope", "token"}}));
  }
  check_same(gated({{"gate", "soft"}, {"gate_scope", "token"}, {"shared", 1}, {"router_layer", 0}}));
}

TEST_CASE("cuda: generated tokens of a batch whose examples have adapters of their own are the CPU's") {
  const Uses uses{{0}, {1, 2}, {3}, {0, 1, 2}};  // gates by token stand alone
  const auto free = set_tokens_on({}, uses);
  CHECK(set_tokens_on(test_device(), uses) == free);
  // Sequences that end leave batches of fewer adapters.
  const std::vector<std::int32_t> stops{free[0][2], free[3][4]};
  const auto stopped = set_tokens_on({}, uses, stops);
  CHECK(stopped != free);
  CHECK(set_tokens_on(test_device(), uses, stops) == stopped);
  const Uses all(prompts().size(), {0, 1, 2});
  CHECK(set_tokens_on(test_device(), all) == set_tokens_on({}, all));
  CHECK(set_tokens_on({}, all) != free);
}
