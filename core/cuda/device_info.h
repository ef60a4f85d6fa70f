// What core/device/device_info.h says of CUDA devices.
#pragma once

#include "core/device/device_info.h"

namespace csreft::cuda {

std::string device_name(int index);
DeviceMemory device_memory(int index);
void reset_peak_memory(int index);

}  // namespace csreft::cuda
