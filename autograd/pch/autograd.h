// As core/pch/core.h.
#include "core/pch/core.h"
