// What this machine can do, measured: the yardsticks of ./run bench.
#pragma once

#include <string>

namespace csreft {

// The processor's name and the number of threads in use.
std::string machine_name();

// GB/s at which all threads together read memory that no cache holds.
double measure_read_bandwidth();

}  // namespace csreft
