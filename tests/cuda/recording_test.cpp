// Recorded work: what is replayed, and what cannot be recorded.
#include "core/device/recording.h"

#include <vector>

#include <doctest/doctest.h>

#include "core/device/device_info.h"
#include "core/ops/ops.h"
#include "models/llama/generate.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"
#include "tests/error_text.h"
#include "tests/tiny_model.h"

using csreft::Device;
using csreft::DType;
using csreft::Tensor;
namespace ops = csreft::ops;

namespace {

Device cuda() { return test_device(); }

bool holds(const Tensor& t, double value) {
  const Tensor here = t.to(Device{});
  return std::ranges::all_of(here.span<float>(), [&](float x) { return x == static_cast<float>(value); });
}

Tensor constant(double value) { return Tensor::full({33, 7}, value, DType::f32, cuda()); }

// The second run of this work, which works the first time.
std::string second_run(const std::function<void()>& work) {
  csreft::Recording recording(cuda(), work);
  recording.run();
  const std::string error = error_text([&] { return recording.run(), 0; });
  // The device goes on as before.
  CHECK(holds(ops::add(constant(1), constant(2)), 3));
  return error;
}

}  // namespace

TEST_CASE("cuda: recorded work reads what its tensors hold when it is replayed") {
  const Tensor x = constant(0), ids = Tensor::zeros({2}, DType::i32, cuda()),
               table = csreft::test::normal({5, 4}, 1, DType::f32);
  const Tensor on_device = table.to(cuda());
  Tensor y, rows;
  csreft::Recording recording(cuda(), [&] {
    y = rows = {};
    const Tensor twice = ops::scale(x, 2.0);
    y = ops::add(ops::scale(twice, 3.0), twice);  // temporaries come and go
    rows = ops::gather_rows(on_device, ids);
  });
  for (int run = 0; run < 6; ++run) {
    CAPTURE(run);
    ops::copy_(x, Tensor::full({33, 7}, run));
    const Tensor index = csreft::test::indices({run % 5, (run + 3) % 5});
    ops::copy_(ids, index);
    recording.run();
    CHECK(holds(y, 8 * run));
    CHECK(csreft::test::same_bits(rows.to(Device{}), ops::gather_rows(table, index)));
  }
}

TEST_CASE("cuda: nothing else gets the memory of recorded work") {
  const Tensor x = constant(1);
  Tensor y;
  csreft::Recording recording(cuda(), [&] {
    y = {};
    y = ops::add(ops::scale(x, 2.0), ops::scale(x, 3.0));
  });
  for (int run = 0; run < 3; ++run) recording.run();
  std::vector<Tensor> others;
  for (int i = 0; i < 8; ++i) others.push_back(constant(i));
  recording.run();
  for (int i = 0; i < 8; ++i) CHECK(holds(others[static_cast<std::size_t>(i)], i));
  CHECK(holds(y, 5));
}

TEST_CASE("cuda: work that waits, grows or uploads anew cannot be recorded, and says so") {
  const Tensor x = constant(1);
  Tensor y;
  CHECK(contains(second_run([&] { static_cast<void>(ops::squared_norm(x)); }), "cudaErrorStreamCapture"));
  CHECK(contains(second_run([&] { y = ops::add(x, x); }), "allocates"));  // the first result is still held
  std::int32_t row = 0;
  CHECK(contains(second_run([&] {
                   y = {};
                   y = ops::gather_rows(x, csreft::test::indices({row++}));
                 }),
                 "uploads"));
  csreft::Recording outer(cuda(), [&] { csreft::Recording(cuda(), [&] { y = ops::add(x, x); }).run(); });
  CHECK(contains(error_text([&] { return outer.run(), 0; }), "one recording"));
  CHECK(holds(ops::add(x, x), 2));
}

TEST_CASE("cuda: tokens that are drawn in a graph are the CPU's") {
  const auto prompts = random_sequences(std::vector<std::int64_t>{4, 7, 2, 11}, tiny_config().vocab_size, 8);
  const csreft::Llama llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen, {DType::f64, cuda()});
  const csreft::Llama on_cpu(tiny_checkpoint(tiny_config()), csreft::Weights::frozen, {DType::f64, Device{}});
  for (const csreft::SamplingOptions& sampling :
       {csreft::SamplingOptions{}, csreft::SamplingOptions{.temperature = 1, .seed = 11},
        csreft::SamplingOptions{.temperature = 1.3, .top_k = 9, .top_p = 0.9, .seed = 4}}) {
    csreft::GenerationOptions options{.max_new_tokens = 15, .stop_tokens = {}, .sampling = sampling};
    const auto free = generate(on_cpu, prompts, options);
    CHECK(free[0] != free[1]);
    CHECK(generate(llama, prompts, options) == free);
    // Sequences end, stay for a while, and rows move: each still draws from its own stream.
    options.stop_tokens = {free[0][3], free[1][7]};
    const auto stopped = generate(on_cpu, prompts, options);
    CHECK(stopped != free);
    CHECK(generate(llama, prompts, options) == stopped);
  }
}

TEST_CASE("cuda: sequences that have ended stay in the batch until half have") {
  const auto prompts = random_sequences(std::vector<std::int64_t>{38, 3, 9, 5}, tiny_config().vocab_size, 6);
  const csreft::Llama llama(tiny_checkpoint(tiny_config()), csreft::Weights::frozen, {DType::f64, cuda()});
  const csreft::Llama on_cpu(tiny_checkpoint(tiny_config()), csreft::Weights::frozen, {DType::f64, Device{}});
  csreft::GenerationOptions options{.max_new_tokens = 20, .stop_tokens = {}, .sampling = {}};
  const auto free = generate(on_cpu, prompts, options);
  CHECK(free[0].size() == 3);  // it has come to the end of the context
  CHECK(generate(llama, prompts, options) == free);
  options.stop_tokens = {free[1][4], free[2][8]};
  const auto stopped = generate(on_cpu, prompts, options);
  CHECK(stopped[1].size() <= 4);
  CHECK(generate(llama, prompts, options) == stopped);
}
