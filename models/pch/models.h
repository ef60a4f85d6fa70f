// As core/pch/core.h.
#include <nlohmann/json.hpp>

#include "core/pch/core.h"
