// The command of a comparison: ./run ablate NAME, ./run table1.
#pragma once

#include <string_view>

#include "experiments/ablations/ablation.h"
#include "experiments/cli/cli.h"

namespace csreft {

// Runs the comparison that the arguments name, or `fixed`, and returns the exit code. `experiment`: the command's name,
// "ablate". Throws Error.
int run_comparison(std::string_view experiment, const Ablation* fixed, Arguments arguments);

}  // namespace csreft
