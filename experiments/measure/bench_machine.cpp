#include "experiments/measure/bench_machine.h"

#include <array>
#include <fstream>

#include "core/base/threads.h"
#include "core/device/device_info.h"
#include "core/tensor/tensor.h"
#include "experiments/measure/device_bench.h"

namespace csreft {

namespace {

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

std::string chip_name(const Device& device) {
  return device.type == DeviceType::cpu ? processor_name() : device_name(device);
}

std::string machine_name() {
  return fmt::format("{}, {} thread{}", processor_name(), threads(), threads() == 1 ? "" : "s");
}

std::string hardware_name(const Device& device) {
  return device.type == DeviceType::cpu ? machine_name() : device_name(device);
}

// Each thread reads a part of its own in order, into several sums: one alone would wait for its additions.
double measure_read_bandwidth() {
  constexpr std::int64_t elements = std::int64_t{1} << 27U;  // 512 MiB
  constexpr std::int64_t piece = std::int64_t{1} << 16U, sums = 64;
  const Tensor x = Tensor::zeros({elements});
  const float* values = x.data<float>();
  float total = 0.0F;
  const double seconds = best_seconds({}, 1.0, [&] {
#pragma omp parallel for schedule(static) reduction(+ : total)
    for (std::int64_t begin = 0; begin < elements; begin += piece) {
      std::array<float, sums> part{};
      for (std::int64_t i = begin; i < begin + piece; i += sums) {
#pragma omp simd
        for (std::int64_t j = 0; j < sums; ++j) part[static_cast<std::size_t>(j)] += values[i + j];
      }
      for (const float sum : part) total += sum;
    }
  });
  require(total == 0.0F, "a sum of zeros is {}: expected 0", total);  // and so it is not optimised away
  return static_cast<double>(x.bytes()) / seconds * 1e-9;
}

}  // namespace csreft
