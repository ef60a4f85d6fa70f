// The primitives of core/device/primitives.inc on CUDA devices.
#pragma once

#include <cstdint>
#include <span>

#include "core/ops/ops.h"

namespace csreft::cuda {

#define PRIMITIVE(result, name, ...) result name(__VA_ARGS__);
#include "core/device/primitives.inc"
#undef PRIMITIVE

}  // namespace csreft::cuda
