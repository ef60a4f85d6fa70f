// Runs a comparison of variants over seeds on one model and one set of tasks, from one command; the same command again
// goes on where it stopped.
#include "experiments/ablations/command.h"
#include "experiments/cli/name_list.h"

namespace csreft {

int ablate(Arguments arguments) {
  if (arguments.empty()) {
    fmt::print("{} ablate NAME compares, for each of several seeds:\n{}\n", command_name(), summaries_of(ablations()));
    return 0;
  }
  return run_comparison("ablate", nullptr, arguments);
}

}  // namespace csreft
