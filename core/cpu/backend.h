// The CPU as a backend.
#pragma once

#include "core/device/backend.h"

namespace csreft::cpu {

const Backend& backend();

}  // namespace csreft::cpu
