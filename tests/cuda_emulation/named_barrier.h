// A barrier of some of a block's threads (PTX's bar.sync), as the emulation has it: no kernel of the project uses one.
#pragma once

#include <source_location>

#include <cuda_runtime.h>

namespace csreft::emulation {

// Waits for the first `n_threads` threads (a multiple of 32) that name it; id 1 to 15.
inline void named_barrier(int id, int n_threads, std::source_location where = std::source_location::current()) {
  sync_named(id, n_threads, where);
}

}  // namespace csreft::emulation
