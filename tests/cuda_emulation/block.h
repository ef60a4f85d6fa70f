// Runs the blocks of a launch: its threads as fibers, in random order between barriers.
#pragma once

#include <string>

#include "emulation/device.h"
#include "emulation/runtime_api.h"

namespace csreft::emulation {

// The most shared memory of a block: what is declared in kernels, and all with what is asked for at the launch, of
// which the devices of compute capability 8.6, 8.9 and 12.x have the least.
inline constexpr std::size_t most_static_shared = 48 * 1024, most_shared = 99 * 1024;

// Runs every block, in random order; stops at the first fault, which it reports.
void run_launch(const Launch& launch);

bool launch_is_running();

// Kernels and matrix products that the host has started so far.
std::size_t& started_kernels_so_far();

// ---- on the fiber of a kernel's thread ------------------------------------------------------------------------------

const Launch& running_launch();
unsigned running_thread_index();
// "kernel NAME, block (x, y, z), thread (x, y, z)"
std::string running_thread();
// "thread (x, y, z)"
std::string thread_name(unsigned thread);

void end_running_thread(cudaError_t error, const std::string& what);
[[noreturn]] void leave_running_thread();
// Ends the running thread with a report, what(): what it did not finish stays undone, and its stack is not unwound, so
// that `what` makes the text in here.
template <typename F>
[[noreturn]] void fault_running_thread(cudaError_t error, const F& what) {
  end_running_thread(error, what());
  leave_running_thread();
}

}  // namespace csreft::emulation
