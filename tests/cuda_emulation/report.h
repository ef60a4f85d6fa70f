// The device's error: the first rule that was broken, in words. As on a device it stays until the process ends, or, for
// tests of the emulation, until clear_fault.
#pragma once

#include <string>

#include "emulation/runtime_api.h"

namespace csreft::emulation {

// Keeps the first report, followed by the seed that repeats it.
void set_fault(cudaError_t error, const std::string& report);
void clear_fault();
// cudaSuccess if no rule was broken.
cudaError_t fault();
const std::string& fault_report();

// Returns error, and keeps it for cudaGetLastError.
cudaError_t result(cudaError_t error);

}  // namespace csreft::emulation
