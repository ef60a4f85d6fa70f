#include "core/cuda/check.h"

#include "core/error.h"

namespace csreft::cuda {

void check(cudaError_t status, std::string_view call) {
  if (status == cudaSuccess) return;
  fail("{} failed with {} ({}): expected success", call, cudaGetErrorName(status), cudaGetErrorString(status));
}

void check(cublasStatus_t status, std::string_view call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail("{} failed with {}: expected success", call, cublasGetStatusString(status));
}

}  // namespace csreft::cuda
