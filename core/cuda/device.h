// Which CUDA devices there are.
#pragma once

#include <string>

namespace csreft::cuda {

// Throws Error, in one line, unless work can be done on the device: says whether the driver or the device is missing.
void check_device(int index);

// "NVIDIA H100 80GB HBM3, sm_90".
std::string device_name(int index);

}  // namespace csreft::cuda
