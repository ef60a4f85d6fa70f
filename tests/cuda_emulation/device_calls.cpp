// The one emulated device, number 0: an sm_90 with few processors.
#include <cstring>

#include "block.h"
#include "memory.h"
#include "report.h"
#include "streams.h"

using namespace csreft::emulation;

namespace {

constexpr int cuda_version = 13000;
constexpr int processors = 4;
constexpr int compute_major = 9, compute_minor = 0;

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return result(fault());
}
cudaError_t cudaSetDevice(int device) { return result(device == 0 ? fault() : cudaErrorInvalidDevice); }
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return result(fault());
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = cuda_version;
  return result(fault());
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = cuda_version;
  return result(fault());
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const std::lock_guard lock(entrance());
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
                 .major = compute_major,
                 .minor = compute_minor,
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
