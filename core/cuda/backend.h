// CUDA devices as a backend.
#pragma once

#include "core/device/backend.h"

namespace csreft::cuda {

// In a build without CUDA (absent.cpp) each of its functions throws Error.
const Backend& backend();

}  // namespace csreft::cuda
