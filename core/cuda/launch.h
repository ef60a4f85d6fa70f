// How kernels are launched and get their shared memory. The tests' emulation has a file of the same name and interface.
#pragma once

#include <cstddef>

#include "core/cuda/check.h"
#include "core/cuda/runtime.h"

// Shared memory of a kernel's block, at block scope: of a fixed type, or of as many elements as the launch asks for.
#define CSREFT_SHARED(Type, name) __shared__ Type name
#define CSREFT_DYNAMIC_SHARED(T, name)                                 \
  extern __shared__ __align__(32) unsigned char csreft_shared_bytes[]; \
  T* const name = reinterpret_cast<T*>(csreft_shared_bytes)

namespace csreft::cuda {

// Starts kernel(args...) on the stream: arguments are converted to the kernel's parameter types here. Dynamic shared
// memory may be as large as the device allows to a block that asks for it.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
            Arguments&&... args) {
  constexpr std::size_t always_allowed = 48 * 1024;
  const void* const function = reinterpret_cast<const void*>(kernel);
  if (shared_bytes > always_allowed) {
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
          "cudaFuncSetAttribute");
  }
  const auto start = [&](Parameters... parameters) {
    void* addresses[] = {static_cast<void*>(&parameters)...};
    check(cudaLaunchKernel(function, grid, block, addresses, shared_bytes, stream), "cudaLaunchKernel");
  };
  start(static_cast<Parameters>(args)...);
}

}  // namespace csreft::cuda
