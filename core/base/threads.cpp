#include "core/base/threads.h"

#include <omp.h>

#include "core/base/error.h"

namespace csreft {

void set_threads(int n) {
  constexpr int limit = 1024;
  require(0 <= n && n <= limit, "{} threads cannot be used: expected 0 (all processors) to {}", n, limit);
  omp_set_num_threads(n == 0 ? omp_get_num_procs() : n);
}

int threads() { return omp_get_max_threads(); }

}  // namespace csreft
