// What this machine can do, measured: the yardsticks of ./run bench.
#pragma once

#include <string>

#include "core/device/device.h"

namespace csreft {

// The name of the card or processor that computes on `device`.
std::string chip_name(const Device& device);
// The processor's name and the number of threads in use.
std::string machine_name();
// What computes on `device`: the name of the card, or of the processor, ", " and the number of threads in use.
std::string hardware_name(const Device& device);

// GB/s at which all threads together read memory that no cache holds: a sum of f32.
double measure_read_bandwidth();

}  // namespace csreft
