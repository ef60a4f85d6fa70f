// The primitives of core/device/primitives.inc on the CPU.
#pragma once

#include <cstdint>
#include <span>

#include "core/ops/ops.h"

namespace csreft::cpu {

#define PRIMITIVE(result, name, ...) result name(__VA_ARGS__);
#include "core/device/primitives.inc"
#undef PRIMITIVE

}  // namespace csreft::cpu
