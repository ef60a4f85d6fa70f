// What this machine can do, measured: the yardsticks of ./run bench.
#pragma once

#include <cstdint>
#include <string>

#include "core/device/device.h"

namespace csreft {

// The processor's name and the number of threads in use.
std::string machine_name();
// What computes on `device`: the name of the card, or of the processor with the number of threads in use.
std::string hardware_name(const Device& device);

// GFLOP/s of x W^T in f32 for x [rows, in], W [out, in]: the best of a few runs of about a fifth of a second.
double measure_gemm(std::int64_t rows, std::int64_t in, std::int64_t out);

// GB/s at which all threads together read memory that no cache holds.
double measure_read_bandwidth();

}  // namespace csreft
