// Every load and store of a kernel is checked: bounds of device memory and of shared memory, races on shared memory,
// addresses of the host, and alignment. g++ -fsanitize=thread puts a call before each, -fsanitize=alignment before
// those that are misaligned; accesses.cpp has what is called, in place of the sanitizers' libraries. Under
// AddressSanitizer, which g++ does not combine with it, code is not instrumented so: then AddressSanitizer finds what
// is out of bounds, and races are not looked for.
#pragma once

#include <cstddef>

#include "fibers.h"
#include "races.h"
#include "shared_memory.h"

namespace csreft::emulation {

struct CheckedMemory {
  const Fibers* fibers;
  const SharedMemory* shared;
  Races* races;
};
void set_checked_memory(const CheckedMemory& memory);

// Whether the calling thread runs a kernel's fiber, whose accesses are checked.
void set_checked(bool checked);
// Refuses an atomic operation on memory that is not there.
void check_atomic(const void* address, std::size_t bytes);

}  // namespace csreft::emulation
