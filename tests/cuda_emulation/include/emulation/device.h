// What a kernel's thread asks of the emulated device. Called on the thread's fiber. Whoever breaks a rule of CUDA here
// is reported with kernel, block and thread, and never resumed; the stream's error is sticky, as a device's is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>

#include "emulation/vector_types.h"

namespace csreft::emulation {

// Waits for all threads of the block.
void sync_block(const std::source_location& where);
// Waits for `n_threads` threads of the block that name barrier `id` (1 to 15).
void sync_named(int id, int n_threads, const std::source_location& where);
// Waits for the lanes in `mask`, and orders their memory.
void sync_warp(unsigned mask, const std::source_location& where);

enum class Shuffle { index, exclusive_or, down, up };
std::uint64_t shuffle_bits(unsigned mask, std::uint64_t bits, Shuffle kind, unsigned operand, int width,
                           const std::source_location& where);
// The lanes of `mask` whose predicate holds.
unsigned ballot(unsigned mask, bool predicate, const std::source_location& where);

std::uint64_t atomic_add(void* address, std::size_t bytes, std::uint64_t value);

// Waits for all lanes of the warp, then calls combine(data of each lane) once. `data` stays valid until then.
void with_whole_warp(const char* name, void* data, void (*combine)(void* const* lanes),
                     const std::source_location& where);
// Ends the thread with a report.
[[noreturn]] void fault_thread(const char* what);

// A variable in shared memory: one place in the code, one address in a block.
struct SharedSite {
  std::uint64_t launch = 0;
  void* address = nullptr;
};
void* shared_variable(SharedSite& site, std::size_t bytes, std::size_t alignment, const char* name);
void* dynamic_shared_memory();

// ---- launches: called by the host -----------------------------------------------------------------------------------

struct Launch {
  const void* kernel;
  dim3 grid, block;
  std::size_t dynamic_bytes;
  std::shared_ptr<const void> arguments;
  std::size_t argument_bytes;
  // Calls the kernel with the arguments.
  void (*run)(const void* kernel, const void* arguments);
};

// Queues a launch. Throws Error where cudaLaunchKernel would return one.
struct Stream;
void enqueue_launch(Launch launch, Stream* stream);
// Refuses an argument that points into the host's memory: reported, and the error is sticky. Null is allowed.
void check_pointer_argument(const void* kernel, std::size_t position, const volatile void* pointer);

}  // namespace csreft::emulation
