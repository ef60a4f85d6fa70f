// Memory of the CUDA runtime: allocations, copies, pinned memory of the host.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>

#include <fmt/format.h>

#include "control.h"
#include "memory.h"
#include "report.h"
#include "streams.h"

namespace csreft::emulation {
namespace {

struct Pinned {
  std::map<std::uintptr_t, std::size_t> blocks;  // address -> bytes
  bool owns(const void* pointer, std::size_t bytes) const {
    const auto address = reinterpret_cast<std::uintptr_t>(pointer);
    auto found = blocks.upper_bound(address);
    if (found == blocks.begin()) return false;
    --found;
    return address - found->first <= found->second && bytes <= found->second - (address - found->first);
  }
};
Pinned& pinned() {
  static auto* const instance = new Pinned;
  return *instance;
}

// What the runtime has asked the driver for. Freed memory of the pool serves what is asked for next, in the order of
// the calls (one stream, then, or streams that wait for each other), whatever the sizes; the pool asks for more when
// that does not suffice, and gives back what is above its threshold when the host waits.
struct Driver {
  std::map<std::uintptr_t, std::size_t> from_pool;  // address -> bytes
  std::size_t used = 0, reserved = 0;               // of the pool
  std::uint64_t release_threshold = 0;
  std::size_t requests = 0;

  void take(void* pointer, std::size_t bytes) {
    from_pool[reinterpret_cast<std::uintptr_t>(pointer)] = bytes;
    used += bytes;
    if (used > reserved) ++requests;
    reserved = std::max(reserved, used);
  }
  void give(void* pointer) {
    const auto found = from_pool.find(reinterpret_cast<std::uintptr_t>(pointer));
    if (found == from_pool.end()) return;
    used -= found->second;
    from_pool.erase(found);
  }
};
Driver& driver() {
  static auto* const instance = new Driver;
  return *instance;
}

cudaError_t allocate(void** pointer, std::size_t bytes) {
  if (fault() != cudaSuccess) return fault();
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  *pointer = device_memory().allocate(bytes);
  return *pointer != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

void free_now(void* pointer) {
  if (!device_memory().release(pointer)) {
    set_fault(cudaErrorIllegalAddress, fmt::format("free of {}, {}", pointer, device_memory().describe(pointer)));
  }
}

// Both sides of a copy or one of a fill: of the kind that was named, and on the device within one allocation.
bool is_valid(const void* pointer, std::size_t bytes, bool on_device) {
  return on_device ? device_memory().owns(pointer, bytes) : pointer != nullptr && !device_memory().contains(pointer);
}

// The emulation's address, once more checked when the copy happens: the allocation may be gone by then.
template <typename T>
T* usable(T* pointer, std::size_t bytes) {
  if (!device_memory().contains(pointer)) return pointer;
  if (device_memory().owns(pointer, bytes)) return device_memory().alias(pointer);
  set_fault(cudaErrorIllegalAddress,
            fmt::format("copy or fill of {} bytes {}", bytes, device_memory().describe(pointer)));
  return nullptr;
}

CopiedBytes copied;

void copy_now(void* to, const void* from, std::size_t bytes) {
  const bool to_device = device_memory().contains(to), from_device = device_memory().contains(from);
  if (from_device && !to_device) copied.to_host += bytes;
  if (to_device && !from_device) copied.to_device += bytes;
  void* const target = usable(to, bytes);
  const void* const source = usable(from, bytes);
  if (target != nullptr && source != nullptr) std::memmove(target, source, bytes);
}

}  // namespace

void host_has_waited() {
  driver().reserved = std::min(driver().reserved, std::max<std::size_t>(driver().used, driver().release_threshold));
}

void release_kept_memory() {
  const std::lock_guard lock(entrance());
  driver().reserved = driver().used;
}

CopiedBytes copied_bytes() {
  const std::lock_guard lock(entrance());
  return copied;
}

std::size_t driver_requests() {
  const std::lock_guard lock(entrance());
  return driver().requests;
}

}  // namespace csreft::emulation

using namespace csreft::emulation;

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(entrance());
  *total = device_memory().total();
  *free = *total - std::min(*total, device_memory().used());
  return result(fault());
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  const std::lock_guard lock(entrance());
  if (const auto error = refuse_while_capturing(); error != cudaSuccess) return result(error);
  ++driver().requests;
  return result(allocate(pointer, bytes));
}

cudaError_t cudaFree(void* pointer) {
  const std::lock_guard lock(entrance());
  if (const auto error = refuse_while_capturing(); error != cudaSuccess) return result(error);
  // As on a device, this waits for everything.
  if (const auto error = run_all(); error != cudaSuccess || pointer == nullptr) return result(error);
  driver().give(pointer);
  free_now(pointer);
  return result(fault());
}

cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(entrance());
  if (queue_of(stream).capture != cudaStreamCaptureStatusNone) return result(cudaErrorNotSupported);
  const auto error = allocate(pointer, bytes);
  if (error == cudaSuccess && *pointer != nullptr) driver().take(*pointer, bytes);
  return result(error);
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  const std::lock_guard lock(entrance());
  if (queue_of(stream).capture != cudaStreamCaptureStatusNone) return result(cudaErrorNotSupported);
  if (pointer == nullptr) return result(fault());
  driver().give(pointer);
  return result(enqueue(stream, [pointer] { free_now(pointer); }));
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  const std::lock_guard lock(entrance());
  ++driver().requests;
  constexpr std::size_t page = 4096;
  *pointer = std::aligned_alloc(page, (bytes + page - 1) / page * page);
  if (*pointer == nullptr) return result(cudaErrorMemoryAllocation);
  std::memset(*pointer, 0xff, bytes);
  pinned().blocks[reinterpret_cast<std::uintptr_t>(*pointer)] = bytes;
  return result(fault());
}

cudaError_t cudaFreeHost(void* pointer) {
  const std::lock_guard lock(entrance());
  if (pointer == nullptr) return result(fault());
  if (!pinned().blocks.contains(reinterpret_cast<std::uintptr_t>(pointer))) return result(cudaErrorInvalidValue);
  const auto error = run_all();
  pinned().blocks.erase(reinterpret_cast<std::uintptr_t>(pointer));
  std::free(pointer);
  return result(error);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const std::lock_guard lock(entrance());
  if (fault() != cudaSuccess) return fault();
  if (bytes == 0) return cudaSuccess;
  bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault) {
    to_device = device_memory().contains(to);
    from_device = device_memory().contains(from);
  }
  if (!is_valid(to, bytes, to_device) || !is_valid(from, bytes, from_device)) return result(cudaErrorInvalidValue);
  if (!from_device && !pinned().owns(from, bytes)) {
    // Pageable memory is staged: it may change as soon as the call returns.
    auto staged = std::make_shared<std::unique_ptr<std::byte[]>>(new std::byte[bytes]);
    std::memcpy(staged->get(), from, bytes);
    return result(enqueue(stream, [=] { copy_now(to, staged->get(), bytes); }));
  }
  const auto error = enqueue(stream, [=] { copy_now(to, from, bytes); });
  if (error != cudaSuccess || to_device) return result(error);
  if (!pinned().owns(to, bytes)) {
    // A copy to pageable memory has happened when the call returns.
    if (const auto refused = refuse_while_capturing(); refused != cudaSuccess) return result(refused);
    return result(run_until(end_of(stream)));
  }
  std::memset(to, 0xff, bytes);  // until it happens, the values are anything
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const std::lock_guard lock(entrance());
  if (const auto error = refuse_while_capturing(); error != cudaSuccess) return result(error);
  if (const auto error = cudaMemcpyAsync(to, from, bytes, kind, nullptr); error != cudaSuccess) return result(error);
  return result(run_until(end_of(nullptr)));
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(entrance());
  if (bytes == 0) return result(fault());
  if (!is_valid(to, bytes, true)) return result(cudaErrorInvalidValue);
  return result(enqueue(stream, [=] {
    if (void* const target = usable(to, bytes); target != nullptr) std::memset(target, value, bytes);
  }));
}

cudaError_t cudaMemset(void* to, int value, std::size_t bytes) { return cudaMemsetAsync(to, value, bytes, nullptr); }

// ---- the pool: one, the device's memory -----------------------------------------------------------------------------

namespace csreft::emulation {

struct MemoryPool {};

}  // namespace csreft::emulation

namespace {

MemoryPool default_pool;

}  // namespace

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  const std::lock_guard lock(entrance());
  if (device != 0) return result(cudaErrorInvalidDevice);
  *pool = &default_pool;
  return result(fault());
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  const std::lock_guard lock(entrance());
  if (pool != &default_pool || attribute != cudaMemPoolAttrReleaseThreshold) return result(cudaErrorInvalidValue);
  std::memcpy(&driver().release_threshold, value, sizeof driver().release_threshold);
  return result(fault());
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  const std::lock_guard lock(entrance());
  if (pool != &default_pool) return result(cudaErrorInvalidValue);
  std::uint64_t out = 0;
  switch (attribute) {
    case cudaMemPoolAttrReleaseThreshold: out = driver().release_threshold; break;
    case cudaMemPoolAttrReservedMemCurrent: out = driver().reserved; break;
    case cudaMemPoolAttrUsedMemCurrent: out = driver().used; break;
    case cudaMemPoolAttrReservedMemHigh:
    case cudaMemPoolAttrUsedMemHigh: out = device_memory().highest_use(); break;
  }
  std::memcpy(value, &out, sizeof out);
  return result(fault());
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, std::size_t bytes) {
  const std::lock_guard lock(entrance());
  driver().reserved = std::min(driver().reserved, std::max(driver().used, bytes));
  return result(pool == &default_pool ? fault() : cudaErrorInvalidValue);
}
