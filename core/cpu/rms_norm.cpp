// y = w * x * rstd, rstd = 1 / sqrt(mean(x^2) + eps), row by row.
#include <cmath>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {

void rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& rstd) {
  const std::int64_t d = x.cols();
  visit_real(x.dtype(), "rms_norm", [&]<typename T>(T) {
    const T* px = x.data<T>();
    const auto w = array<T>(weight.data<const T>(), d);
    T* py = y.data<T>();
    T* pr = rstd.data<T>();
    for_rows(x.rows(), d, [&](std::int64_t i) {
      const auto row = array(px + i * d, d);
      pr[i] = T{1} / std::sqrt(row.square().sum() / static_cast<T>(d) + static_cast<T>(eps));
      array(py + i * d, d) = w * row * pr[i];
    });
  });
}

// dx = rstd (w * dy - x rstd^2 mean(w * dy * x))
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd, const Tensor& dx) {
  const std::int64_t d = x.cols();
  visit_real(x.dtype(), "rms_norm_backward", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* px = x.data<T>();
    const auto w = array<T>(weight.data<const T>(), d);
    const T* pr = rstd.data<T>();
    T* pdx = dx.data<T>();
    for_rows(x.rows(), d, [&](std::int64_t i) {
      const auto g = array(pdy + i * d, d);
      const auto row = array(px + i * d, d);
      const T mean = (w * g * row).sum() / static_cast<T>(d);
      array(pdx + i * d, d) = pr[i] * (w * g - row * (pr[i] * pr[i] * mean));
    });
  });
}

// dw = sum over rows of dy * x * rstd
void rms_norm_backward_weight(const Tensor& dy, const Tensor& x, const Tensor& rstd, const Tensor& dw) {
  const std::int64_t d = x.cols();
  visit_real(x.dtype(), "rms_norm_backward_weight", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* px = x.data<T>();
    const T* pr = rstd.data<T>();
    reduce_rows(x.rows(), d, dw.data<T>(),
                [&](std::int64_t i, T* sum) { array(sum, d) += array(pdy + i * d, d) * array(px + i * d, d) * pr[i]; });
  });
}

}  // namespace csreft::cpu
