// What tests ask of the emulation itself, beyond what CUDA has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace csreft::emulation {

// Whether kernels' loads and stores are checked for races and bounds; AddressSanitizer's builds check bounds alone.
bool finds_races();

// Work that is waiting runs in the orders of this seed from now on.
void start_orders(std::uint64_t seed);

// The report of the first rule that was broken; empty if there is none.
std::string report();
// As if the process had begun anew, but for memory: what is waiting in streams is dropped, and there is no error.
void forget_error();

// Bytes that the device has.
void set_device_memory(std::size_t bytes);
// Reports a host that uses an address of the device before the programme ends by SIGSEGV; done when the device is first
// used, and needed again by whoever has set another handler since.
void watch_faults();

// Allocations made on the device so far.
std::size_t device_allocations();
// How often so far the runtime had to ask the driver for memory, the device's or pinned: each cudaMalloc and
// cudaMallocHost, and each cudaMallocAsync that the memory kept by the pool did not serve.
std::size_t driver_requests();
// The pool gives back what it keeps.
void release_kept_memory();

// Bytes copied so far from the device to the host, and from the host to the device, by graphs as well.
struct CopiedBytes {
  std::size_t to_host = 0, to_device = 0;
};
CopiedBytes copied_bytes();

// Graphs launched so far.
std::size_t graph_launches();

// Operations that streams were given and that have not been done yet.
std::size_t waiting_operations();
// Kernels and matrix products that the host has started so far.
std::size_t started_kernels();

}  // namespace csreft::emulation
