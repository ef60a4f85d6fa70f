// As core/pch/core.h.
#pragma once

#include "core/pch/core.h"
