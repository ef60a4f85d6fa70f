// What the launcher that started this process (mpirun, srun) says in the environment, before anything is asked of MPI.
#pragma once

#include <string_view>

namespace csreft {

struct Launch {
  int rank = 0;
  int size = 1;  // processes that were started together; 0: a launcher started it, and does not say how many
};

// Open MPI's OMPI_COMM_WORLD_*, MPICH's and Slurm's PMI_*, and PMIx's PMIX_RANK with SLURM_NTASKS. One process where
// there are none of these.
Launch launch();

// Throws Error, on rank 0, where a launcher has started several processes: `what` says what they cannot do. On the
// others this ends the process in silence.
void require_one_process(std::string_view what);

}  // namespace csreft
