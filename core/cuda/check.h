// Every call of CUDA and cuBLAS goes through check, which turns a failure into Error.
#pragma once

#include <string_view>

#include "core/cuda/runtime.h"

namespace csreft::cuda {

// Throws Error, naming `call` and the cause, unless status is success.
void check(cudaError_t status, std::string_view call);
void check(cublasStatus_t status, std::string_view call);

}  // namespace csreft::cuda
