// The CPU's table of primitives.
#pragma once

#include "core/device/primitives.h"

namespace csreft::cpu {

const Primitives& primitives();

}  // namespace csreft::cpu
