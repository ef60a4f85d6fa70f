// How elements and rows are dealt out to threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/cuda/context.h"
#include "core/cuda/launch.h"

namespace csreft::cuda {

inline constexpr unsigned block_threads = 256;

// f(i) for i in [0, n): consecutive threads get consecutive elements.
template <typename F>
__global__ void elements_kernel(F f, std::int64_t n) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) f(i);
}

// Calls f(i) on the device for i in [0, n), in any order; f is a plain struct that holds what it reads and writes.
template <typename F>
void for_elements(const Context& device, std::int64_t n, F f) {
  if (n == 0) return;
  constexpr std::int64_t max_blocks = 8192;
  const std::int64_t blocks = std::min(max_blocks, (n + block_threads - 1) / block_threads);
  launch(elements_kernel<F>, dim3(static_cast<unsigned>(blocks)), dim3(block_threads), 0, device.stream, f, n);
}

// A grid of one block for each of n rows: n is at least 1.
inline dim3 row_grid(std::int64_t n) { return dim3(static_cast<unsigned>(n)); }

}  // namespace csreft::cuda
