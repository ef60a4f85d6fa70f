// As core/pch/core.h.
#include <CLI/CLI.hpp>

#include "reft/pch/reft.h"
