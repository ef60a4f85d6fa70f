// Large arrays on their way to a device, and memory that is used again.
#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

#include "core/device/device_info.h"
#include "core/ops/ops.h"
#include "experiments/measure/peak_memory.h"
#include "tests/device.h"
#include "tests/error_text.h"

using csreft::Device;
using csreft::DType;
using csreft::Tensor;
namespace ops = csreft::ops;

namespace {

Tensor counted(std::int64_t n) {
  Tensor t = Tensor::empty({n}, DType::f32);
  for (std::int64_t i = 0; i < n; ++i) t.span<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i % 65537);
  return t;
}

}  // namespace

TEST_CASE("cuda: the memory of a run on a device is what its tensors held there at most") {
  const Device cuda = test_device();
  csreft::reset_peak_run_memory(cuda);
  const std::size_t before = csreft::peak_run_memory(cuda);
  CHECK(before == csreft::device_memory(cuda).used);
  constexpr std::int64_t n = std::int64_t{1} << 20;
  Tensor::empty({n}, DType::f32, cuda);
  CHECK(csreft::peak_run_memory(cuda) == before + 4 * n);
  CHECK(csreft::peak_run_memory(Device{}) > before + 4 * n);  // the resident set of the programme
}

TEST_CASE(
    "cuda: a large array is the device's as it was when it was sent, and what is started after it finds it there") {
  const Device cuda = test_device();
  // One piece, a part of one, several, and more than the ring holds.
  for (const std::int64_t n :
       {std::int64_t{1} << 21, (std::int64_t{1} << 20) + 3, std::int64_t{5'000'011}, std::int64_t{9'000'001}}) {
    CAPTURE(n);
    const Tensor x = counted(n), expected = x.clone();
    const Tensor there = x.to(cuda);
    std::ranges::fill(x.span<float>(), -1.0F);      // what is on its way is not changed by that
    const Tensor doubled = ops::add(there, there);  // in the other stream
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

TEST_CASE("cuda: what no device has room for is an error that says what was asked, and the device goes on") {
  const csreft::DeviceMemory memory = csreft::device_memory(test_device());
  const auto more_than_all = static_cast<std::int64_t>(memory.total / sizeof(float) + 1);
  const std::string text = error_text([&] { return Tensor::empty({more_than_all}, DType::f32, test_device()), 0; });
  CAPTURE(text);
  CHECK(text.starts_with("out of memory on cuda:"));
  CHECK(contains(text, fmt::format("{:.1f} MiB asked for", static_cast<double>(more_than_all) * 0x1p-18)));
  CHECK(contains(text, "--weights bf16"));
  CHECK(csreft::device_memory(test_device()).used == memory.used);
  CHECK(Tensor::full({7}, 2.0, DType::f32, test_device()).to(Device{}).span<float>()[6] == 2.0F);
}

TEST_CASE("cuda: the most memory that tensors held is remembered until it is asked to start anew") {
  const Device cuda = test_device();
  csreft::reset_peak_memory(cuda);
  const std::size_t before = csreft::device_memory(cuda).used;
  constexpr std::size_t bytes = 1U << 20U;
  static_cast<void>(Tensor::empty({bytes / 4}, DType::f32, cuda));
  CHECK(csreft::device_memory(cuda).used == before);
  CHECK(csreft::device_memory(cuda).peak == before + bytes);
  csreft::reset_peak_memory(cuda);
  CHECK(csreft::device_memory(cuda).peak == before);
}
