// Host memory for tensors.
#pragma once

#include <cstddef>
#include <memory>

namespace csreft {

// Storage of at least `bytes` bytes, aligned to 64, uninitialised. Freed blocks are kept and handed out again, so that
// a training step after the first asks the system for nothing: fresh pages would have to be zeroed by the kernel.
// Thread-safe. Throws Error, saying how much was asked and held, when the system has no more.
std::shared_ptr<void> allocate_host(std::size_t bytes);

// Bytes in use by tensors, and kept for reuse.
struct HostMemory {
  std::size_t used = 0;
  std::size_t kept = 0;
};
HostMemory host_memory();

// Gives the kept blocks back to the system.
void release_kept_host_memory();

}  // namespace csreft
