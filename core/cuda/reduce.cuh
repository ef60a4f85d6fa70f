// Sums and maxima over the threads of a block, in an order that never changes.
#pragma once

#include "core/cuda/grid.cuh"

namespace csreft::cuda {

inline constexpr unsigned warp_threads = 32;
inline constexpr unsigned all_lanes = 0xffffffffU;

struct Add {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};

// Every lane gets the reduction over groups of `lanes` neighbouring lanes (a power of two, at most 32).
template <typename T, typename F>
__device__ T reduce_lanes(T value, unsigned lanes, F f) {
  for (unsigned offset = lanes / 2; offset > 0; offset /= 2) {
    value = f(value, __shfl_xor_sync(all_lanes, value, static_cast<int>(offset)));
  }
  return value;
}

// Every thread gets the reduction over the block, whose size is a multiple of 32. `scratch` is shared memory of one
// element a warp, which may be used again after the call.
template <typename T, typename F>
__device__ T reduce_block(T value, T* scratch, F f) {
  value = reduce_lanes(value, warp_threads, f);
  const unsigned warps = blockDim.x / warp_threads;
  if (threadIdx.x % warp_threads == 0) scratch[threadIdx.x / warp_threads] = value;
  __syncthreads();
  value = scratch[0];
  for (unsigned i = 1; i < warps; ++i) value = f(value, scratch[i]);
  __syncthreads();
  return value;
}

// Shared memory for reduce_block.
template <typename T>
using WarpValues = T[warp_threads];

}  // namespace csreft::cuda
