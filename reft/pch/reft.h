// As core/pch/core.h.
#pragma once

#include "models/pch/models.h"
