// The table of a backend: a pointer to the function that runs each primitive of core/device/primitives.inc.
#pragma once

#include <cstdint>
#include <span>

#include "core/ops/ops.h"

namespace csreft {

struct Primitives {
#define PRIMITIVE(result, name, ...) result (*name)(__VA_ARGS__);
#include "core/device/primitives.inc"
#undef PRIMITIVE
};

}  // namespace csreft
