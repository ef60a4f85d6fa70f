// What recorded work asks of the device: seen by the emulated one.
#include <vector>

#include <doctest/doctest.h>

#include "core/device/recording.h"
#include "core/ops/ops.h"
#include "models/llama/generate.h"
#include "tests/cuda_emulation/control.h"
#include "tests/device.h"
#include "tests/reft/method_tools.h"
#include "tests/tiny_model.h"

using csreft::DType;
using csreft::Tensor;
namespace emulation = csreft::emulation;
namespace ops = csreft::ops;

TEST_CASE("cuda: recorded work is one launch, and has its memory") {
  const Tensor x = Tensor::full({33, 7}, 1.0, DType::f32, test_device());
  Tensor y;
  csreft::Recording recording(test_device(), [&] {
    y = {};
    const Tensor twice = ops::scale(x, 2.0);
    y = ops::add(ops::scale(twice, 3.0), twice);  // temporaries come and go
  });
  const std::size_t before = emulation::graph_launches();
  for (int run = 0; run < 6; ++run) {
    CAPTURE(run);
    const std::size_t allocations = emulation::device_allocations();
    recording.run();
    CHECK((emulation::device_allocations() == allocations) == (run > 0));
  }
  CHECK(emulation::graph_launches() == before + 5);
}

TEST_CASE("cuda: a generated token is one graph, and only its id is copied") {
  const auto prompts = random_sequences(std::vector<std::int64_t>{3, 9}, tiny_config().vocab_size, 6);
  const csreft::Llama llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen, {DType::f32, test_device()});
  for (const csreft::SamplingOptions& sampling :
       {csreft::SamplingOptions{}, csreft::SamplingOptions{.temperature = 1.2, .top_k = 9, .top_p = 0.9, .seed = 3}}) {
    const std::size_t graphs = emulation::graph_launches(), to_host = emulation::copied_bytes().to_host;
    std::vector<std::size_t> to_device, allocations;
    const auto out = generate(llama, prompts, {.max_new_tokens = 10, .stop_tokens = {}, .sampling = sampling}, {},
                              [&](std::size_t sequence, std::int32_t) {
                                if (sequence > 0) return true;
                                to_device.push_back(emulation::copied_bytes().to_device);
                                allocations.push_back(emulation::device_allocations());
                                return true;
                              });
    CHECK(out[0].size() == 10);
    // Of 10 tokens the first comes with the prompt, and the second from the step's first run, which is no graph.
    CHECK(emulation::graph_launches() == graphs + 8);
    // No logits: an id of each sequence and token.
    CHECK(emulation::copied_bytes().to_host == to_host + 10 * prompts.size() * sizeof(std::int32_t));
    // Token n is heard of when the step for token n + 1 has been started: from the third on, a step brings nothing to
    // the device and has all its memory.
    REQUIRE(to_device.size() == 10);
    for (std::size_t n = 2; n < 10; ++n) {
      CAPTURE(n);
      CHECK(to_device[n] == to_device[2]);
      CHECK(allocations[n] == allocations[2]);
    }
  }
}

TEST_CASE("cuda: edits of generated tokens bring nothing to the device once their step is recorded") {
  const auto prompts = random_sequences(std::vector<std::int64_t>{3, 9}, tiny_config().vocab_size, 6);
  const csreft::Llama llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen, {DType::f32, test_device()});
  const nlohmann::json edits{{"layers", "1,2"}, {"rank", 2}, {"positions", "everywhere"}};
  nlohmann::json gated = edits;
  gated.update({{"subspaces", 3}, {"shared", 1}, {"gate_scope", "token"}, {"router_hidden", 4}});
  for (const auto& options : {csreft::MethodOptions{"loreft", edits}, csreft::MethodOptions{"csreft", gated}}) {
    CAPTURE(options.method);
    const auto method = csreft::create_method(options, llama, /*seed=*/5);
    std::unique_ptr<csreft::MethodPass> pass;
    csreft::GenerationAttachments attachments;
    attachments.prompt = [&](const csreft::TokenBatch& batch) {
      pass = method->attach({batch, csreft::whole_prompts(batch)});
      return pass->points();
    };
    attachments.generated = [&](std::span<const std::int32_t> sequences) { return pass->generated(sequences); };
    const std::size_t graphs = emulation::graph_launches();
    std::vector<std::size_t> to_device, allocations;
    const auto out = generate(llama, prompts, {.max_new_tokens = 8, .stop_tokens = {}, .sampling = {}}, attachments,
                              [&](std::size_t sequence, std::int32_t) {
                                if (sequence > 0) return true;
                                to_device.push_back(emulation::copied_bytes().to_device);
                                allocations.push_back(emulation::device_allocations());
                                return true;
                              });
    CHECK(emulation::graph_launches() == graphs + 6);
    REQUIRE(to_device.size() == 8);
    for (std::size_t n = 2; n < 8; ++n) {
      CAPTURE(n);
      CHECK(to_device[n] == to_device[1]);
      CHECK(allocations[n] == allocations[1]);
    }
  }
}

TEST_CASE("cuda: what hears of a token does so while the device has the next step to do") {
  const auto prompts = random_sequences(std::vector<std::int64_t>{3}, tiny_config().vocab_size, 6);
  const csreft::Llama llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen, {DType::f32, test_device()});
  std::vector<bool> busy;
  generate(llama, prompts, {.max_new_tokens = 5, .stop_tokens = {}, .sampling = {}}, {},
           [&](std::size_t, std::int32_t) { return busy.push_back(emulation::waiting_operations() > 0), true; });
  CHECK(busy == std::vector<bool>{true, true, true, true, false});
}
