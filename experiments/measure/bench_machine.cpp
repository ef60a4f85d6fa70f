#include "experiments/measure/bench_machine.h"

#include <fstream>

#include "core/base/threads.h"
#include "core/device/device_info.h"
#include "core/ops/ops.h"
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

double measure_read_bandwidth() {
  constexpr std::int64_t elements = std::int64_t{1} << 27U;  // 512 MiB
  const Tensor x = Tensor::zeros({elements});
  return static_cast<double>(x.bytes()) / best_seconds({}, 1.0, [&] { static_cast<void>(ops::squared_norm(x)); }) *
         1e-9;
}

}  // namespace csreft
