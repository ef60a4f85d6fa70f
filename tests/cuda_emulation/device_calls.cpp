// The one emulated device, number 0: an sm_90 with few processors. CSREFT_EMULATION_WITHOUT takes something away from
// the machine, as lacking() lists it, so that what is said of that can be tested.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "block.h"
#include "memory.h"
#include "report.h"
#include "streams.h"

using namespace csreft::emulation;

namespace {

constexpr int cuda_version = 13000;
constexpr int processors = 4;
constexpr int old_driver_version = 12020;

enum class Lacking { nothing, driver, new_driver, device, ampere };

Lacking lacking() {
  const char* const text = std::getenv("CSREFT_EMULATION_WITHOUT");
  const std::string_view name = text == nullptr ? "" : text;
  if (name == "driver") return Lacking::driver;
  if (name == "new-driver") return Lacking::new_driver;
  if (name == "device") return Lacking::device;
  if (name == "ampere") return Lacking::ampere;
  if (name.empty()) return Lacking::nothing;
  fmt::print(stderr, "CSREFT_EMULATION_WITHOUT={}: expected driver, new-driver, device or ampere\n", name);
  std::abort();
}

int compute_major() { return lacking() == Lacking::ampere ? 7 : 9; }
int compute_minor() { return lacking() == Lacking::ampere ? 5 : 0; }

// What calls that need a device return on a machine without one.
cudaError_t no_device() {
  switch (lacking()) {
    case Lacking::driver:
    case Lacking::new_driver: return cudaErrorInsufficientDriver;
    case Lacking::device: return cudaErrorNoDevice;
    default: return cudaSuccess;
  }
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  if (const auto error = no_device(); error != cudaSuccess) {
    *count = 0;
    return result(error);
  }
  *count = 1;
  return result(fault());
}
cudaError_t cudaSetDevice(int device) {
  if (const auto error = no_device(); error != cudaSuccess) return result(error);
  return result(device == 0 ? fault() : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return result(fault());
}
// Without a driver this is no error, and the version 0.
cudaError_t cudaDriverGetVersion(int* version) {
  *version = lacking() == Lacking::driver ? 0 : lacking() == Lacking::new_driver ? old_driver_version : cuda_version;
  return result(fault());
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = cuda_version;
  return result(fault());
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const std::lock_guard lock(entrance());
  if (const auto error = no_device(); error != cudaSuccess) return result(error);
  if (device != 0) return result(cudaErrorInvalidDevice);
  *properties = {.name = "emulated",
                 .totalGlobalMem = device_memory().total(),
                 .sharedMemPerBlock = most_static_shared,
                 .sharedMemPerBlockOptin = most_shared,
                 .sharedMemPerMultiprocessor = most_shared + 1024,
                 .regsPerBlock = 65536,
                 .warpSize = 32,
                 .maxThreadsPerBlock = 1024,
                 .maxThreadsPerMultiProcessor = 2048,
                 .maxThreadsDim = {1024, 1024, 64},
                 .maxGridSize = {0x7fffffff, 65535, 65535},
                 .multiProcessorCount = processors,
                 .major = compute_major(),
                 .minor = compute_minor(),
                 .l2CacheSize = 1 << 20,
                 .memoryBusWidth = 64};
  return result(fault());
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  if (const auto error = cudaGetDeviceProperties(&p, device); error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = p.maxThreadsPerBlock; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = static_cast<int>(p.sharedMemPerBlock); break;
    case cudaDevAttrWarpSize: *value = p.warpSize; break;
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate: *value = 1'000'000; break;  // kHz
    case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
    case cudaDevAttrGlobalMemoryBusWidth: *value = p.memoryBusWidth; break;
    case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; break;
    case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(p.sharedMemPerBlockOptin); break;
    case cudaDevAttrMemoryPoolsSupported: *value = 1; break;
    default: return result(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}
