// The one set of threads (OpenMP's), which oneDNN and Eigen share.
#pragma once

namespace csreft {

// Uses n threads from now on, in what the calling thread starts; 0 means one for each processor that this process may
// run on. Throws Error unless 0 <= n <= 1024.
void set_threads(int n);
int threads();

}  // namespace csreft
