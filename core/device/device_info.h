// What a device is and what its memory holds: for measurements and reports.
#pragma once

#include <cstddef>
#include <string>

#include "core/device/device.h"

namespace csreft {

struct DeviceMemory {
  std::size_t used = 0;   // bytes held by tensors now
  std::size_t peak = 0;   // the most that was held since the latest reset_peak_memory(); on the host, blocks kept too
  std::size_t total = 0;  // of the device; on the host, the machine's
};

// "NVIDIA H100 80GB HBM3, sm_90"; "emulated, sm_90" where the device is emulated; "host".
std::string device_name(const Device& device);
bool is_emulated(const Device& device);

DeviceMemory device_memory(const Device& device);
// Counts the peak from what is held now.
void reset_peak_memory(const Device& device);

// Waits for everything that was started on the device; nothing is ever pending on the host.
void synchronize(const Device& device);

}  // namespace csreft
