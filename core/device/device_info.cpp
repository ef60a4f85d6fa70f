#include "core/device/device_info.h"

#include "core/device/backend.h"

namespace csreft {

std::string device_name(const Device& device) { return backend_of(device).device_name(device.index); }

bool is_emulated(const Device& device) { return device_name(device).starts_with("emulated,"); }

DeviceMemory device_memory(const Device& device) { return backend_of(device).device_memory(device.index); }

void reset_peak_memory(const Device& device) { backend_of(device).reset_peak_memory(device.index); }

void synchronize(const Device& device) { backend_of(device).synchronize(device.index); }

}  // namespace csreft
