// Softmax of each row, and where its largest element is: one thread block per row.
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

// The largest element's index travels with it; of equal ones the first wins.
template <typename T>
__global__ void one_hot_rows_kernel(const T* x, T* y, std::int64_t m) {
  CSREFT_SHARED(WarpValues<T>, values);
  CSREFT_SHARED(WarpValues<long long>, indices);
  x += blockIdx.x * m;
  y += blockIdx.x * m;
  T max = x[0];
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) max = Max{}(max, x[i]);
  max = reduce_block(max, values, Max{});
  long long first = m;
  for (std::int64_t i = threadIdx.x; i < m && first == m; i += blockDim.x) {
    if (x[i] == max) first = i;
  }
  first = -reduce_block(-first, indices, Max{});
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) y[i] = i == first ? T{1} : T{0};
}

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

void one_hot_rows(const Tensor& x, const Tensor& y) {
  if (x.numel() == 0) return;
  visit_real(x.dtype(), "one_hot_rows", [&]<typename T>(T) {
    launch(one_hot_rows_kernel<T>, row_grid(x.rows()), dim3(block_threads), 0, context(y).stream, elements<const T>(x),
           elements<T>(y), x.cols());
  });
}

}  // namespace csreft::cuda
