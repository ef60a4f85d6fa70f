// As core/pch/core.h.
#pragma once

#include <CLI/CLI.hpp>

#include "reft/pch/reft.h"
