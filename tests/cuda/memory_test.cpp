// What the CUDA backend asks of the driver, and when the host waits: seen by the emulated device.
#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

#include "core/device_info.h"
#include "core/ops.h"
#include "experiments/harness/trainer.h"
#include "reft/presets.h"
#include "tests/cuda_emulation/control.h"
#include "tests/device.h"
#include "tests/tiny_chat.h"

using csreft::Device;
using csreft::DType;
using csreft::Tensor;
namespace emulation = csreft::emulation;
namespace ops = csreft::ops;

namespace {

Tensor counted(std::int64_t n) {
  Tensor t = Tensor::empty({n}, DType::f32);
  for (std::int64_t i = 0; i < n; ++i) t.span<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i % 65537);
  return t;
}

// The driver's requests of each of several training steps; the first has the longest sequences.
std::vector<std::size_t> requests_of_steps(const char* preset) {
  static const TinyChat chat;
  const auto model = chat.load(test_device());
  csreft::MethodOptions method_options;
  csreft::TrainOptions options;
  csreft::set_preset(csreft::find_preset(preset), method_options, options.router_lr);
  method_options.layers = {0, 1};
  method_options.rank = 2;
  method_options.subspaces = 2;
  method_options.router_hidden = 4;
  options.quiet = true;
  const auto method = csreft::create_method(method_options, model.llama.config(), /*seed=*/5, model.llama.options());
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

TEST_CASE("cuda: a large array is on its way while the host goes on, and what is started after it finds it there") {
  const Device cuda = test_device();
  // One piece, a part of one, several, and more than the ring holds.
  for (const std::int64_t n :
       {std::int64_t{1} << 21, (std::int64_t{1} << 20) + 3, std::int64_t{5'000'011}, std::int64_t{9'000'001}}) {
    CAPTURE(n);
    const Tensor x = counted(n), expected = x.clone();
    csreft::synchronize(cuda);
    REQUIRE(emulation::waiting_operations() == 0);
    const Tensor there = x.to(cuda);
    CHECK(emulation::waiting_operations() > 0);     // the host has not waited for the last of it
    std::ranges::fill(x.span<float>(), -1.0F);      // and may already change what it had there
    const Tensor doubled = ops::add(there, there);  // in the other stream
    CHECK(emulation::waiting_operations() > 0);
    const Tensor back = doubled.to(Device{});
    bool same = true;
    for (std::size_t i = 0; i < back.span<float>().size(); ++i) {
      same = same && back.span<float>()[i] == 2 * expected.span<float>()[i];
    }
    CHECK(same);
  }
}

TEST_CASE("cuda: a large copy comes after what its place was used for before") {
  const Device cuda = test_device();
  const std::int64_t n = std::int64_t{1} << 20;
  const Tensor x = counted(n);
  for (int i = 0; i < 4; ++i) {
    // Freed memory is handed out again while work on it is still waiting.
    const Tensor last = [&] {
      const Tensor before = Tensor::full({n}, 7.0, DType::f32, cuda);
      return ops::scale(before, 2.0);
    }();
    const Tensor there = x.to(cuda);
    const Tensor a = last.to(Device{}), b = there.to(Device{});
    CHECK(std::ranges::all_of(a.span<float>(), [](float v) { return v == 14.0F; }));
    CHECK(std::ranges::equal(b.span<float>(), x.span<float>()));
  }
}
