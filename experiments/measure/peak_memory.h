// The most memory that a run takes at a time.
#pragma once

#include <cstddef>

#include "core/device/device.h"

namespace csreft {

// The most bytes that a run on `device` took at a time: on a GPU those of its tensors there, on the host the resident
// set of this process.
std::size_t peak_run_memory(const Device& device);
// Counts the peak from here on, where the system allows it; elsewhere it stays that of the whole process.
void reset_peak_run_memory(const Device& device);

}  // namespace csreft
