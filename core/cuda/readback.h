// Small arrays of a device on their way to the host, for Backend.
#pragma once

#include <cstddef>

#include "core/device/backend.h"

namespace csreft::cuda {

CopyToHost copy_to_host(std::size_t capacity, int index);

}  // namespace csreft::cuda
