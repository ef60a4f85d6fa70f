#include "experiments/measure/bench_machine.h"

#include <fstream>

#include "core/base/threads.h"
#include "core/device/device_info.h"
#include "core/ops/ops.h"
#include "experiments/measure/device_bench.h"

namespace csreft {

std::string machine_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string model = "unknown processor";
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  return fmt::format("{}, {} thread{}", model, threads(), threads() == 1 ? "" : "s");
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
