// Launches and shared memory under emulation: the interface of core/cuda/launch.h, which this file hides.
#pragma once

#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include <cuda_runtime.h>

#include "core/base/error.h"

#define CSREFT_SHARED(Type, name)                               \
  static_assert(std::is_trivial_v<Type>);                       \
  static ::csreft::emulation::SharedSite csreft_site_of_##name; \
  Type& name = *static_cast<Type*>(                             \
      ::csreft::emulation::shared_variable(csreft_site_of_##name, sizeof(Type), alignof(Type), #name))
#define CSREFT_DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(::csreft::emulation::dynamic_shared_memory())

namespace csreft::cuda {

// Queues kernel(args...) on the stream: arguments are converted to the kernel's parameter types here. Dynamic shared
// memory may be as large as the device allows to a block that asks for it.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
            Arguments&&... args) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "a kernel's parameters are copied as bytes");
  using Stored = std::tuple<std::remove_cv_t<Parameters>...>;
  const void* const function = reinterpret_cast<const void*>(kernel);
  constexpr std::size_t always_allowed = 48 * 1024;
  if (shared_bytes > always_allowed) {
    const cudaError_t error =
        cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    require(error == cudaSuccess, "cudaFuncSetAttribute for {} bytes: {}", shared_bytes, cudaGetErrorString(error));
  }
  auto stored = std::make_shared<const Stored>(static_cast<Parameters>(std::forward<Arguments>(args))...);
  std::apply(
      [&](const auto&... arguments) {
        std::size_t position = 0;
        [[maybe_unused]] const auto check = [&](const auto& argument) {
          if constexpr (std::is_pointer_v<std::remove_cvref_t<decltype(argument)>>) {
            emulation::check_pointer_argument(function, position, argument);
          }
          ++position;
        };
        (check(arguments), ...);
      },
      *stored);
  emulation::enqueue_launch({.kernel = function,
                             .grid = grid,
                             .block = block,
                             .dynamic_bytes = shared_bytes,
                             .arguments = std::move(stored),
                             .argument_bytes = sizeof(Stored),
                             .run =
                                 [](const void* code, const void* arguments) {
                                   const auto call = reinterpret_cast<void (*)(Parameters...)>(code);
                                   std::apply(call, *static_cast<const Stored*>(arguments));
                                 }},
                            stream);
}

}  // namespace csreft::cuda
