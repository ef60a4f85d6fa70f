// What is said where a device, its driver or its memory is missing, on the emulated device.
#include "tests/device.h"

#include <string>

#include <doctest/doctest.h>

#include "core/cuda/check.h"
#include "core/device_info.h"
#include "core/tensor.h"
#include "tests/cuda_emulation/control.h"
#include "tests/environment.h"
#include "tests/experiments/command_bench.h"

namespace {

namespace emulation = csreft::emulation;

using csreft::DType;
using csreft::Tensor;

}  // namespace

TEST_CASE("cuda: --device cuda where the driver or the device is missing is one error line that names it") {
  const Bench bench;
  const auto refused = [&](const char* without, const std::string& device, const std::string& part) {
    const EnvironmentVariable machine("CSREFT_EMULATION_WITHOUT", without);
    CAPTURE(without);
    check_refused(bench, bench.train({{"--device", device}}), part);
  };
  refused("driver", "cuda", "no CUDA driver on this machine");
  refused("new-driver", "cuda", "the CUDA driver is too old: it serves CUDA 12.2, expected 13.0 or newer");
  refused("device", "cuda", "no CUDA device is visible");
  refused("device", "cuda:7", "no CUDA device is visible");
  refused("ampere", "cuda", "cuda:0 has compute capability 7.5: expected 8.0 (Ampere) or newer");
  check_refused(bench, bench.train({{"--device", "cuda:7"}}), "no device cuda:7: expected cuda:0");
  check_refused(bench, bench.train({{"--device", "cuda:x"}}), "unknown device 'cuda:x'");
}

TEST_CASE("cuda: a model too large for the device is one error line, and leaves nothing") {
  const EnvironmentVariable memory("CSREFT_EMULATION_MEMORY", "20000");
  const Bench bench;
  check_refused(bench, bench.train({{"--device", "cuda"}}), "out of memory on cuda:0: ");
}

TEST_CASE(
    "cuda: an allocation that the device has no room for says what was asked, held and free, and what would help") {
  constexpr std::size_t mib = 1U << 20U;
  const csreft::Device device = test_device();
  csreft::synchronize(device);
  const csreft::DeviceMemory before = csreft::device_memory(device);
  const Tensor held = Tensor::zeros({3 * mib / 4}, DType::f32, device);
  emulation::set_device_memory(before.used + 5 * mib);
  const std::string text = error_text([&] { static_cast<void>(Tensor::zeros({10 * mib / 4}, DType::f32, device)); });
  emulation::set_device_memory(before.total);
  CAPTURE(text);
  CHECK(text.starts_with("out of memory on cuda:0: 10.0 MiB asked for, "));
  CHECK(
      contains(text, fmt::format("{:.1f} MiB held by tensors", static_cast<double>(before.used + 3 * mib) * 0x1p-20)));
  CHECK(contains(text, fmt::format("of {:.1f} MiB free", static_cast<double>(before.used + 5 * mib) * 0x1p-20)));
  for (const char* option : {"--weights bf16", "--tokens-per-pass", "--batch", "--max-length"}) {
    CAPTURE(option);
    CHECK(contains(text, option));
  }
  // The device is as good as before.
  CHECK(Tensor::full({7}, 2.0, DType::f32, device).to(csreft::Device{}).span<float>()[6] == 2.0F);
}

TEST_CASE("cuda: a call that fails is an error with the call's name, and the next call does not see it") {
  const auto text_of = [](auto status) { return error_text([&] { csreft::cuda::check(status, "aCall"); }); };
  CHECK(text_of(cudaErrorMemoryAllocation).starts_with("out of memory in aCall: "));
  CHECK(text_of(CUBLAS_STATUS_ALLOC_FAILED).starts_with("out of memory in aCall: "));
  CHECK(contains(text_of(CUBLAS_STATUS_NOT_SUPPORTED), "aCall failed with the functionality requested"));
  void* pointer = nullptr;
  const cudaError_t status = cudaMemcpyAsync(&pointer, nullptr, 1, cudaMemcpyHostToDevice, nullptr);
  CHECK(contains(text_of(status), "aCall failed with cudaErrorInvalidValue (invalid argument)"));
  CHECK(cudaGetLastError() == cudaSuccess);
}
