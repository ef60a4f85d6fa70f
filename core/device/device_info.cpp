#include "core/device/device_info.h"

#include <unistd.h>

#include "core/cuda/device_info.h"
#include "core/cuda/primitives.h"
#include "core/device/allocator.h"

namespace csreft {

std::string device_name(const Device& device) {
  return device.type == DeviceType::cpu ? "host" : cuda::device_name(device.index);
}

bool is_emulated(const Device& device) {
  return device.type == DeviceType::cuda && device_name(device).starts_with("emulated,");
}

DeviceMemory device_memory(const Device& device) {
  if (device.type == DeviceType::cuda) return cuda::device_memory(device.index);
  const HostMemory host = host_memory();
  return {
      .used = host.used,
      .peak = host.used + host.kept,
      .total = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))};
}

void reset_peak_memory(const Device& device) {
  if (device.type == DeviceType::cuda) return cuda::reset_peak_memory(device.index);
  release_kept_host_memory();
}

void synchronize(const Device& device) {
  if (device.type == DeviceType::cuda) cuda::synchronize(device.index);
}

}  // namespace csreft
