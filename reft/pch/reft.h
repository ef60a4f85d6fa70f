// As core/pch/core.h.
#include "models/pch/models.h"
