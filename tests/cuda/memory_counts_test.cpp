// What the CUDA backend asks of the driver, and when the host waits: seen by the emulated device.
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/cuda/uploads.h"
#include "core/device/device_info.h"
#include "core/ops/ops.h"
#include "experiments/training/trainer.h"
#include "tests/cuda_emulation/control.h"
#include "tests/device.h"
#include "tests/reft/method_tools.h"
#include "tests/tiny_chat.h"

using csreft::Device;
using csreft::DType;
using csreft::Tensor;
namespace emulation = csreft::emulation;
namespace ops = csreft::ops;

namespace {

// The driver's requests of each of several training steps; the first has the longest sequences.
std::vector<std::size_t> requests_of_steps(const char* preset) {
  static const TinyChat chat;
  const auto model = chat.load(test_device());
  auto values = csreft::find_preset(preset).method.values;
  values.update({{"layers", "0,1"}, {"rank", 2}, {"subspaces", 2}, {"router_hidden", 4}});
  csreft::TrainOptions options;
  options.quiet = true;
  const auto method = csreft::create_method(options_for("csreft", values), model.llama, /*seed=*/5);
  csreft::Trainer trainer(model, *method, std::vector<csreft::Task>{letter_task(8)}, options);
  emulation::release_kept_memory();
  std::vector<std::size_t> requests;
  for (const std::size_t examples : {8U, 8U, 8U, 5U, 8U, 1U}) {
    std::vector<const csreft::EncodedExample*> batch;
    for (std::size_t i = 0; i < examples; ++i) batch.push_back(&trainer.examples()[i]);
    const std::size_t before = emulation::driver_requests();
    static_cast<void>(trainer.step(batch, 1e-3));
    requests.push_back(emulation::driver_requests() - before);
  }
  return requests;
}

// The arrays that the last batches sent are no longer on the device.
void forget_uploads() {
  const Tensor x = Tensor::zeros({1, 1}).to(test_device());
  for (std::size_t n = 1; n <= csreft::cuda::Uploads::kept; ++n) {
    ops::gather_rows(x, Tensor::zeros({static_cast<std::int64_t>(n)}, DType::i32));
  }
  csreft::synchronize(test_device());
}

// Bytes that go to the device for a training step, and for a second one with the same examples.
std::pair<std::size_t, std::size_t> sent_by_steps(const char* layers) {
  static const TinyChat chat;
  const auto model = chat.load(test_device());
  const auto options = options_for("csreft", {{"layers", layers}, {"rank", 2}, {"subspaces", 2}, {"tied", false}});
  const auto method = csreft::create_method(options, model.llama, /*seed=*/5);
  csreft::TrainOptions quiet;
  quiet.quiet = true;
  csreft::Trainer trainer(model, *method, std::vector<csreft::Task>{letter_task(4), letter_task(3)}, quiet);
  std::vector<const csreft::EncodedExample*> batch;
  for (const auto& example : trainer.examples()) batch.push_back(&example);
  const auto sent_by_step = [&] {
    csreft::synchronize(test_device());
    const std::size_t before = emulation::copied_bytes().to_device;
    static_cast<void>(trainer.step(batch, 1e-3));
    csreft::synchronize(test_device());
    return emulation::copied_bytes().to_device - before;
  };
  forget_uploads();
  const std::size_t first = sent_by_step();
  return {first, sent_by_step()};
}

}  // namespace

TEST_CASE("cuda: after the first step of training nothing is asked of the driver") {
  for (const char* preset : {"specialised", "paper"}) {
    CAPTURE(preset);
    const auto requests = requests_of_steps(preset);
    CHECK(requests.front() > 0);  // so the count counts
    for (std::size_t step = 1; step < requests.size(); ++step) {
      CAPTURE(step);
      CHECK(requests[step] == 0);
    }
  }
}

TEST_CASE("cuda: the rows of a batch are sent to the device once, however many layers read them") {
  const auto [one_layer, one_layer_again] = sent_by_steps("0");
  const auto [two_layers, two_layers_again] = sent_by_steps("0,1");
  CHECK(one_layer > 0);  // so the count counts
  CHECK(two_layers == one_layer);
  CHECK(two_layers_again == one_layer_again);
}

TEST_CASE("cuda: a large array is on its way while the host goes on") {
  const Tensor x = Tensor::full({5'000'011}, 3.0, DType::f32);
  csreft::synchronize(test_device());
  REQUIRE(emulation::waiting_operations() == 0);
  const Tensor there = x.to(test_device());
  CHECK(emulation::waiting_operations() > 0);     // the host has not waited for the last of it
  const Tensor doubled = ops::add(there, there);  // in the other stream
  CHECK(emulation::waiting_operations() > 0);
}
