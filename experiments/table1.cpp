// Every method on one's own tasks, each at its best learning rate: the paper's Table 1, from one command.
#include "experiments/ablations/command.h"

namespace csreft {

extern const Ablation table1_comparison;

int table1(Arguments arguments) { return run_comparison("table1", &table1_comparison, arguments); }

}  // namespace csreft
