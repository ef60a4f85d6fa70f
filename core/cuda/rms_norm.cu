// y = w * x * rstd, rstd = 1 / sqrt(mean(x^2) + eps), with one thread block per row. Threads read again what they
// wrote.
#include <cmath>

#include "core/cuda/columns.cuh"
#include "core/cuda/ops.h"
#include "core/cuda/reduce.cuh"

namespace csreft::cuda {
namespace {

// The norm of x = a + b, which is written to `sum`; where b is null, of a.
template <typename T>
__global__ void rms_norm_kernel(const T* a, const T* b, const T* w, T eps, T* sum, T* y, T* rstd, std::int64_t d) {
  CSREFT_SHARED(WarpValues<T>, scratch);
  const std::int64_t row = blockIdx.x * d;
  T square = 0;
  for (std::int64_t i = threadIdx.x; i < d; i += blockDim.x) {
    T x = a[row + i];
    if (b != nullptr) sum[row + i] = x += b[row + i];
    square += x * x;
  }
  square = reduce_block(square, scratch, Add{});
  const T r = T{1} / sqrt(square / static_cast<T>(d) + eps);
  const T* const x = b == nullptr ? a : sum;
  for (std::int64_t i = threadIdx.x; i < d; i += blockDim.x) y[row + i] = w[i] * x[row + i] * r;
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

// Of a + b, or of a where b is undefined.
void normalise(const Tensor& a, const Tensor& b, const Tensor& weight, double eps, const Tensor& sum, const Tensor& y,
               const Tensor& rstd) {
  if (a.rows() == 0) return;
  visit_real(a.dtype(), "rms_norm", [&]<typename T>(T) {
    launch(rms_norm_kernel<T>, row_grid(a.rows()), dim3(block_threads), 0, context(a).stream, elements<const T>(a),
           b.defined() ? elements<const T>(b) : nullptr, elements<const T>(weight), static_cast<T>(eps),
           sum.defined() ? elements<T>(sum) : nullptr, elements<T>(y), elements<T>(rstd), a.cols());
  });
}

}  // namespace

void rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& rstd) {
  normalise(x, {}, weight, eps, {}, y, rstd);
}

void add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, double eps, const Tensor& sum,
                  const Tensor& y, const Tensor& rstd) {
  normalise(a, b, weight, eps, sum, y, rstd);
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
