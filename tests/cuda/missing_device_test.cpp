// What is said where a device, its driver or its memory is missing, on the emulated device.
#include <string>

#include <doctest/doctest.h>

#include "core/cuda/uploads.h"
#include "core/device/device_info.h"
#include "core/ops/ops.h"
#include "core/tensor/tensor.h"
#include "tests/core/ops/numbers.h"
#include "tests/cuda_emulation/control.h"
#include "tests/device.h"
#include "tests/environment.h"
#include "tests/experiments/command_bench.h"

namespace {

namespace emulation = csreft::emulation;

using csreft::DType;
using csreft::Tensor;

constexpr std::size_t mib = 1U << 20U;
constexpr std::size_t workspace = 32 * mib;  // of cuBLAS, which no tensor holds

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

// 20,000 bytes beside cuBLAS's workspace of 32 MiB.
TEST_CASE("cuda: a model too large for the device is one error line, and leaves nothing") {
  const EnvironmentVariable memory("CSREFT_EMULATION_MEMORY", "33574432");
  const Bench bench;
  check_refused(bench, bench.train({{"--device", "cuda"}}), "out of memory on cuda:0: ");
}

TEST_CASE(
    "cuda: an allocation that the device has no room for says what was asked, held and free, and what would help") {
  const csreft::Device device = test_device();
  csreft::synchronize(device);
  const csreft::DeviceMemory before = csreft::device_memory(device);
  const Tensor held = Tensor::zeros({3 * mib / 4}, DType::f32, device);
  emulation::set_device_memory(before.used + workspace + 5 * mib);
  const std::string text = error_text([&] { static_cast<void>(Tensor::zeros({10 * mib / 4}, DType::f32, device)); });
  emulation::set_device_memory(before.total);
  CAPTURE(text);
  CHECK(text.starts_with("out of memory on cuda:0: 10.0 MiB asked for, "));
  CHECK(
      contains(text, fmt::format("{:.1f} MiB held by tensors", static_cast<double>(before.used + 3 * mib) * 0x1p-20)));
  CHECK(contains(text,
                 fmt::format("of {:.1f} MiB free", static_cast<double>(before.used + workspace + 5 * mib) * 0x1p-20)));
  for (const char* option : {"--weights bf16", "--tokens-per-pass", "--batch", "--max-length"}) {
    CAPTURE(option);
    CHECK(contains(text, option));
  }
  // The device is as good as before.
  CHECK(Tensor::full({7}, 2.0, DType::f32, device).to(csreft::Device{}).span<float>()[6] == 2.0F);
}

// A place for uploads grows on the host and then on the device; each takes its turn.
TEST_CASE("cuda: uploads go on as before when the device has no room for a larger one") {
  const csreft::Device device = test_device();
  const auto n_rows = static_cast<std::int32_t>(csreft::cuda::Uploads::kept);
  const Tensor x = csreft::test::normal({n_rows, 1}, 1, DType::f32), there = x.to(device);
  const auto rows = [&](std::int64_t n, std::int32_t first) {
    Tensor index = Tensor::empty({n}, DType::i32);
    for (std::int32_t& row : index.span<std::int32_t>()) row = first++ % n_rows;
    return csreft::ops::gather_rows(there, index);
  };
  rows(8 << 10, 0);  // in memory of its place's own
  for (std::int32_t i = 1; i < n_rows; ++i) rows(3, i);
  csreft::synchronize(device);
  emulation::release_kept_memory();
  const csreft::DeviceMemory before = csreft::device_memory(device);
  emulation::set_device_memory(before.used + workspace + 6 * mib);  // for the rows, not for their index
  CHECK(contains(error_text([&] { return rows(1 << 20, 0), 0; }), "out of memory on cuda:0"));
  emulation::set_device_memory(before.total);
  CHECK(csreft::test::same_bits(rows(8 << 10, 5).slice(0, n_rows - 5).clone().to(csreft::Device{}),
                                x.slice(5, n_rows).clone()));
}
