// The one set of threads (OpenMP's), which oneDNN shares.
#pragma once

namespace csreft {

// Uses n threads from now on; 0 means one for each processor that this process may run on. Throws Error if n < 0.
void set_threads(int n);
int threads();

}  // namespace csreft
