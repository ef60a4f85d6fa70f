// As core/pch/core.h.
#include "reft/pch/reft.h"
