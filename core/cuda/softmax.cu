// Softmax of each row, one thread block per row, and where the largest elements of each row are.
#include <cmath>

#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

template <typename T>
__global__ void softmax_kernel(const T* x, T* y, std::int64_t m) {
  CSREFT_SHARED(WarpValues<T>, scratch);
  x += blockIdx.x * m;
  y += blockIdx.x * m;
  T max = x[0];
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) max = Max{}(max, x[i]);
  max = reduce_block(max, scratch, Max{});
  T sum = 0;
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) sum += y[i] = exp(x[i] - max);
  sum = reduce_block(sum, scratch, Add{});
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) y[i] /= sum;
}

// dx = y * (dy - sum(dy * y))
template <typename T>
__global__ void softmax_backward_kernel(const T* dy, const T* y, T* dx, std::int64_t m) {
  CSREFT_SHARED(WarpValues<T>, scratch);
  const std::int64_t row = blockIdx.x * m;
  T sum = 0;
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) sum += dy[row + i] * y[row + i];
  sum = reduce_block(sum, scratch, Add{});
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) dx[row + i] = y[row + i] * (dy[row + i] - sum);
}

// Element i is among the k largest of its row where fewer than k come before it.
template <typename T>
struct TopKRows {
  const T* x;
  T* y;
  std::int64_t m, k;
  __device__ void operator()(std::int64_t i) const {
    const T* row = x + i / m * m;
    std::int64_t before = 0;
    for (std::int64_t j = 0; j < m; ++j) before += row[j] > x[i] || (row[j] == x[i] && j < i % m) ? 1 : 0;
    y[i] = before < k ? T{1} : T{0};
  }
};

}  // namespace

void softmax(const Tensor& x, const Tensor& y) {
  if (x.numel() == 0) return;
  visit_real(x.dtype(), "softmax", [&]<typename T>(T) {
    launch(softmax_kernel<T>, row_grid(x.rows()), dim3(block_threads), 0, context(y).stream, elements<const T>(x),
           elements<T>(y), x.cols());
  });
}

void softmax_backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  if (y.numel() == 0) return;
  visit_real(y.dtype(), "softmax_backward", [&]<typename T>(T) {
    launch(softmax_backward_kernel<T>, row_grid(y.rows()), dim3(block_threads), 0, context(y).stream,
           elements<const T>(dy), elements<const T>(y), elements<T>(dx), y.cols());
  });
}

void top_k_rows(const Tensor& x, std::int64_t k, const Tensor& y) {
  visit_real(x.dtype(), "top_k_rows", [&]<typename T>(T) {
    for_elements(context(y), x.numel(), TopKRows<T>{elements<const T>(x), elements<T>(y), x.cols(), k});
  });
}

}  // namespace csreft::cuda
