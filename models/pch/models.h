// As core/pch/core.h.
#pragma once

#include <nlohmann/json.hpp>

#include "core/pch/core.h"
