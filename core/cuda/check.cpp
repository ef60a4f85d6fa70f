#include "core/cuda/check.h"

#include "core/base/error.h"

namespace csreft::cuda {

void check(cudaError_t status, std::string_view call) {
  if (status == cudaSuccess) return;
  // Whoever catches the error goes on: the next check of a launch must not see it again. What has broken the device
  // stays nevertheless.
  static_cast<void>(cudaGetLastError());
  // For tensors memory.cpp says more: this is pinned memory, or what the driver takes for itself.
  require(status != cudaErrorMemoryAllocation, "out of memory in {}: expected more free memory on the device and host",
          call);
  fail("{} failed with {} ({}): expected success", call, cudaGetErrorName(status), cudaGetErrorString(status));
}

void check(cublasStatus_t status, std::string_view call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  require(status != CUBLAS_STATUS_ALLOC_FAILED, "out of memory in {}: expected more free memory on the device", call);
  fail("{} failed with {}: expected success", call, cublasGetStatusString(status));
}

}  // namespace csreft::cuda
