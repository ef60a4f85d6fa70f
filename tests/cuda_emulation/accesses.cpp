#include "accesses.h"

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "block.h"
#include "memory.h"

extern "C" char __executable_start, _end;  // the linker's: where the programme lies in memory

namespace csreft::emulation {
namespace {

CheckedMemory memory;
thread_local bool checked = false;

bool within(const void* address, const void* begin, const void* end) {
  return !std::less<>{}(address, begin) && std::less<>{}(address, end);
}

[[noreturn, gnu::cold]] void fault_device(const void* address, std::size_t bytes, const char* what) {
  fault_running_thread(cudaErrorIllegalAddress, [&] {
    return fmt::format("{} of {} bytes {}", what, bytes, device_memory().describe(address));
  });
}
[[noreturn, gnu::cold]] void fault_shared(std::size_t offset, std::size_t bytes, const char* what) {
  fault_running_thread(cudaErrorIllegalAddress, [&] {
    return fmt::format("{} of {} bytes outside every shared variable, at byte {} of shared memory", what, bytes,
                       offset);
  });
}
[[noreturn, gnu::cold]] void fault_race(std::size_t offset, unsigned other, const char* what) {
  fault_running_thread(cudaErrorLaunchFailure, [&] {
    return fmt::format("race on shared memory: {} at byte {}, which {} uses with no barrier between them", what, offset,
                       thread_name(other));
  });
}
[[noreturn, gnu::cold]] void fault_host(const void* address, const char* what) {
  fault_running_thread(cudaErrorIllegalAddress, [&] {
    return fmt::format("{} at {}, which is {}", what, address,
                       address == nullptr ? "null" : "an address of the host's memory");
  });
}

template <bool write>
void check(const void* address, std::size_t bytes) {
  constexpr const char* what = write ? "write" : "read";
  if (!checked || memory.fibers->on_a_stack(address)) return;
  if (const std::size_t offset = memory.shared->offset(address); offset < SharedMemory::size) {
    if (!memory.shared->owns(offset, bytes)) fault_shared(offset, bytes, what);
    const unsigned thread = running_thread_index();
    const int other = write ? memory.races->write(offset, bytes, thread) : memory.races->read(offset, bytes, thread);
    if (other >= 0) fault_race(offset, static_cast<unsigned>(other), what);
    return;
  }
  if (const auto& device = device_memory(); device.contains(address)) {
    if (bytes <= 16 ? !device.owns_element(address, bytes) : !device.owns(address, bytes)) {
      fault_device(address, bytes, what);
    }
    return;
  }
  const auto* const arguments = static_cast<const std::byte*>(running_launch().arguments.get());
  if (within(address, arguments, arguments + running_launch().argument_bytes)) return;
  // Constants of the programme; nvcc refuses kernels that use other variables of the host.
  if (within(address, &__executable_start, &_end)) return;
  fault_host(address, what);
}

// What g++ says of an access whose address it has found misaligned: the layout is that of its run-time library.
struct Misalignment {
  struct {
    const char* file;
    std::uint32_t line, column;
  } where;
  const void* type;
  unsigned char log_alignment;
  unsigned char kind;
};

[[gnu::cold]] void report_misaligned(const Misalignment& what, std::uintptr_t address) {
  const std::uintptr_t alignment = std::uintptr_t{1} << what.log_alignment;
  if (!checked) {
    fmt::print(stderr, "{}:{}: the host's code reads or writes a misaligned address\n", what.where.file,
               what.where.line);
    std::abort();
  }
  fault_running_thread(cudaErrorMisalignedAddress, [&] {
    return fmt::format("misaligned address: {} bytes past a multiple of {}, at {}:{}", address % alignment, alignment,
                       what.where.file, what.where.line);
  });
}

// An operation of the host's, as it would be without instrumentation.
constexpr int order = __ATOMIC_SEQ_CST;

}  // namespace

void set_checked_memory(const CheckedMemory& to) { memory = to; }
void set_checked(bool to) { checked = to; }

void check_atomic(const void* address, std::size_t bytes) {
  if (const std::size_t offset = memory.shared->offset(address); offset < SharedMemory::size) {
    if (!memory.shared->owns(offset, bytes)) fault_shared(offset, bytes, "atomic operation");
  } else if (!device_memory().contains(address)) {
    fault_host(address, "atomic operation");
  } else if (!device_memory().owns(address, bytes)) {
    fault_device(address, bytes, "atomic operation");
  }
}

}  // namespace csreft::emulation

// ---- the functions that instrumented code calls ---------------------------------------------------------------------

using csreft::emulation::check;
using csreft::emulation::Misalignment;
using csreft::emulation::order;
using csreft::emulation::report_misaligned;

extern "C" {

void __tsan_init() {}

void __tsan_read1(void* p) { check<false>(p, 1); }
void __tsan_read2(void* p) { check<false>(p, 2); }
void __tsan_read4(void* p) { check<false>(p, 4); }
void __tsan_read8(void* p) { check<false>(p, 8); }
void __tsan_read16(void* p) { check<false>(p, 16); }
void __tsan_write1(void* p) { check<true>(p, 1); }
void __tsan_write2(void* p) { check<true>(p, 2); }
void __tsan_write4(void* p) { check<true>(p, 4); }
void __tsan_write8(void* p) { check<true>(p, 8); }
void __tsan_write16(void* p) { check<true>(p, 16); }
void __tsan_unaligned_read2(void* p) { check<false>(p, 2); }
void __tsan_unaligned_read4(void* p) { check<false>(p, 4); }
void __tsan_unaligned_read8(void* p) { check<false>(p, 8); }
void __tsan_unaligned_read16(void* p) { check<false>(p, 16); }
void __tsan_unaligned_write2(void* p) { check<true>(p, 2); }
void __tsan_unaligned_write4(void* p) { check<true>(p, 4); }
void __tsan_unaligned_write8(void* p) { check<true>(p, 8); }
void __tsan_unaligned_write16(void* p) { check<true>(p, 16); }
void __tsan_read_range(void* p, std::size_t bytes) { check<false>(p, bytes); }
void __tsan_write_range(void* p, std::size_t bytes) { check<true>(p, bytes); }
void __ubsan_handle_type_mismatch_v1(const Misalignment* what, std::uintptr_t address) {
  report_misaligned(*what, address);
}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Atomic operations of the host's code (shared pointers, guards of static variables) become calls, too.
std::uint8_t __tsan_atomic8_load(const volatile std::uint8_t* p, int) { return __atomic_load_n(p, order); }
std::uint32_t __tsan_atomic32_load(const volatile std::uint32_t* p, int) { return __atomic_load_n(p, order); }
std::uint64_t __tsan_atomic64_load(const volatile std::uint64_t* p, int) { return __atomic_load_n(p, order); }
void __tsan_atomic8_store(volatile std::uint8_t* p, std::uint8_t v, int) { __atomic_store_n(p, v, order); }
void __tsan_atomic32_store(volatile std::uint32_t* p, std::uint32_t v, int) { __atomic_store_n(p, v, order); }
void __tsan_atomic64_store(volatile std::uint64_t* p, std::uint64_t v, int) { __atomic_store_n(p, v, order); }
std::uint32_t __tsan_atomic32_fetch_add(volatile std::uint32_t* p, std::uint32_t v, int) {
  return __atomic_fetch_add(p, v, order);
}
std::uint64_t __tsan_atomic64_fetch_add(volatile std::uint64_t* p, std::uint64_t v, int) {
  return __atomic_fetch_add(p, v, order);
}
std::uint32_t __tsan_atomic32_exchange(volatile std::uint32_t* p, std::uint32_t v, int) {
  return __atomic_exchange_n(p, v, order);
}
std::uint64_t __tsan_atomic64_exchange(volatile std::uint64_t* p, std::uint64_t v, int) {
  return __atomic_exchange_n(p, v, order);
}
bool __tsan_atomic32_compare_exchange_strong(volatile std::uint32_t* p, std::uint32_t* expected, std::uint32_t v, int,
                                             int) {
  return __atomic_compare_exchange_n(p, expected, v, false, order, order);
}
bool __tsan_atomic64_compare_exchange_strong(volatile std::uint64_t* p, std::uint64_t* expected, std::uint64_t v, int,
                                             int) {
  return __atomic_compare_exchange_n(p, expected, v, false, order, order);
}

}  // extern "C"
