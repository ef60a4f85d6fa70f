// Rotary position embedding, components i and i + head_dim / 2 turned together: one thread block per row.
#include <cmath>

#include "core/cuda/grid.cuh"
#include "core/cuda/ops.h"

namespace csreft::cuda {
namespace {

// The angle is brought into [-pi, pi] in double: a float holds position * frequency only to about 1e-4 at position
// 2000. Dynamic shared memory: the cosines, then the sines, of the row's `half` angles.
template <typename T>
__global__ void rope_kernel(const T* x, const std::int32_t* positions, const double* frequencies, double direction,
                            T* y, std::int64_t half, std::int64_t heads) {
  CSREFT_DYNAMIC_SHARED(T, cosine);
  T* const sine = cosine + half;
  constexpr double turn = 6.283185307179586476925286766559;
  for (std::int64_t i = threadIdx.x; i < half; i += blockDim.x) {
    const double angle = frequencies[i] * (direction * positions[blockIdx.x]);
    const T small = static_cast<T>(angle - turn * round(angle / turn));
    cosine[i] = cos(small);
    sine[i] = sin(small);
  }
  __syncthreads();
  const std::int64_t row = blockIdx.x * heads * 2 * half;
  for (std::int64_t i = threadIdx.x; i < heads * half; i += blockDim.x) {
    const std::int64_t component = i % half, at = row + i / half * 2 * half + component;
    const T a = x[at], b = x[at + half];
    y[at] = a * cosine[component] - b * sine[component];
    y[at + half] = b * cosine[component] + a * sine[component];
  }
}

}  // namespace

void rope(const Tensor& x, const Tensor& positions, const Tensor& inverse_frequencies, bool inverse, const Tensor& y) {
  if (x.numel() == 0) return;
  Context& device = context(x);
  const std::int64_t half = inverse_frequencies.numel();
  const auto* position = upload(device, positions);
  const auto* frequency = upload(device, std::span<const double>(inverse_frequencies.span<double>()));
  visit_real(x.dtype(), "rope", [&]<typename T>(T) {
    launch(rope_kernel<T>, row_grid(x.rows()), dim3(block_threads), 2 * static_cast<std::size_t>(half) * sizeof(T),
           device.stream, elements<const T>(x), position, frequency, inverse ? -1.0 : 1.0, elements<T>(y), half,
           x.cols() / (2 * half));
  });
}

}  // namespace csreft::cuda
