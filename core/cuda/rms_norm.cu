// y = w * x * rstd, rstd = 1 / sqrt(mean(x^2) + eps): a block a row, whose threads read again what they have written.
#include <cmath>

#include "core/cuda/columns.cuh"
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

template <typename T>
__global__ void rms_norm_kernel(const T* x, const T* w, T eps, T* y, T* rstd, std::int64_t d) {
  CSREFT_SHARED(WarpValues<T>, scratch);
  const std::int64_t row = blockIdx.x * d;
  T sum = 0;
  for (std::int64_t i = threadIdx.x; i < d; i += blockDim.x) sum += x[row + i] * x[row + i];
  sum = reduce_block(sum, scratch, Add{});
  const T r = T{1} / sqrt(sum / static_cast<T>(d) + eps);
  for (std::int64_t i = threadIdx.x; i < d; i += blockDim.x) y[row + i] = w[i] * x[row + i] * r;
  if (threadIdx.x == 0) rstd[blockIdx.x] = r;
}

// The same of x = a + b, written to `sum`.
template <typename T>
__global__ void add_rms_norm_kernel(const T* a, const T* b, const T* w, T eps, T* sum, T* y, T* rstd, std::int64_t d) {
  CSREFT_SHARED(WarpValues<T>, scratch);
  const std::int64_t row = blockIdx.x * d;
  T square = 0;
  for (std::int64_t i = threadIdx.x; i < d; i += blockDim.x) {
    const T x = a[row + i] + b[row + i];
    sum[row + i] = x;
    square += x * x;
  }
  square = reduce_block(square, scratch, Add{});
  const T r = T{1} / sqrt(square / static_cast<T>(d) + eps);
  for (std::int64_t i = threadIdx.x; i < d; i += blockDim.x) y[row + i] = w[i] * sum[row + i] * r;
  if (threadIdx.x == 0) rstd[blockIdx.x] = r;
}

// dx = residual + rstd (w * dy - x rstd^2 mean(w * dy * x)); residual may be null
template <typename T>
__global__ void rms_norm_backward_kernel(const T* dy, const T* x, const T* w, const T* rstd, const T* residual, T* dx,
                                         std::int64_t d) {
  CSREFT_SHARED(WarpValues<T>, scratch);
  const std::int64_t row = blockIdx.x * d;
  T sum = 0;
  for (std::int64_t i = threadIdx.x; i < d; i += blockDim.x) sum += w[i] * dy[row + i] * x[row + i];
  sum = reduce_block(sum, scratch, Add{});
  const T r = rstd[blockIdx.x];
  const T along_x = r * r * (sum / static_cast<T>(d));
  for (std::int64_t i = threadIdx.x; i < d; i += blockDim.x) {
    const T through_norm = r * (w[i] * dy[row + i] - x[row + i] * along_x);
    dx[row + i] = residual == nullptr ? through_norm : residual[row + i] + through_norm;
  }
}

template <typename T>
struct WeightGradient {
  const T *dy, *x, *rstd;
  std::int64_t d;
  __device__ T operator()(std::int64_t row, std::int64_t column) const {
    return dy[row * d + column] * x[row * d + column] * rstd[row];
  }
};

}  // namespace

void rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& rstd) {
  if (x.rows() == 0) return;
  visit_real(x.dtype(), "rms_norm", [&]<typename T>(T) {
    launch(rms_norm_kernel<T>, row_grid(x.rows()), dim3(block_threads), 0, context(x).stream, elements<const T>(x),
           elements<const T>(weight), static_cast<T>(eps), elements<T>(y), elements<T>(rstd), x.cols());
  });
}

void add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, double eps, const Tensor& sum,
                  const Tensor& y, const Tensor& rstd) {
  if (a.rows() == 0) return;
  visit_real(a.dtype(), "add_rms_norm", [&]<typename T>(T) {
    launch(add_rms_norm_kernel<T>, row_grid(a.rows()), dim3(block_threads), 0, context(a).stream, elements<const T>(a),
           elements<const T>(b), elements<const T>(weight), static_cast<T>(eps), elements<T>(sum), elements<T>(y),
           elements<T>(rstd), a.cols());
  });
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& residual, const Tensor& dx) {
  if (x.rows() == 0) return;
  visit_real(x.dtype(), "rms_norm_backward", [&]<typename T>(T) {
    launch(rms_norm_backward_kernel<T>, row_grid(x.rows()), dim3(block_threads), 0, context(x).stream,
           elements<const T>(dy), elements<const T>(x), elements<const T>(weight), elements<const T>(rstd),
           residual.defined() ? elements<const T>(residual) : nullptr, elements<T>(dx), x.cols());
  });
}

// dw = sum over rows of dy * x * rstd
void rms_norm_backward_weight(const Tensor& dy, const Tensor& x, const Tensor& rstd, const Tensor& dw) {
  visit_real(x.dtype(), "rms_norm_backward_weight", [&]<typename T>(T) {
    sum_columns(context(x), x.rows(), x.cols(),
                WeightGradient<T>{elements<const T>(dy), elements<const T>(x), elements<const T>(rstd), x.cols()},
                elements<T>(dw));
  });
}

}  // namespace csreft::cuda
