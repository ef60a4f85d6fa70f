#include "experiments/measure/peak_memory.h"

#include <fstream>

#include <sys/resource.h>

#include "core/device/device_info.h"

namespace csreft {

void reset_peak_run_memory(const Device& device) {
  if (device.type == DeviceType::cuda) return reset_peak_memory(device);
  std::ofstream("/proc/self/clear_refs") << "5";
}

std::size_t peak_run_memory(const Device& device) {
  if (device.type == DeviceType::cuda) return device_memory(device).peak;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace csreft
