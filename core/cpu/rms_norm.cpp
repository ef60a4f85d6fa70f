// y = w * x * rstd, rstd = 1 / sqrt(mean(x^2) + eps), row by row.
#include <cmath>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

// 1 / sqrt(mean(row^2) + eps)
template <typename Row>
auto reciprocal_root(const Row& row, double eps) {
  using T = typename Row::Scalar;
  return T{1} / std::sqrt(row.square().sum() / static_cast<T>(row.size()) + static_cast<T>(eps));
}

}  // namespace

void rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& y, const Tensor& rstd) {
  const std::int64_t d = x.cols();
  visit_real(x.dtype(), "rms_norm", [&]<typename T>(T) {
    const T* px = x.data<T>();
    const auto w = array<T>(weight.data<const T>(), d);
    T* py = y.data<T>();
    T* pr = rstd.data<T>();
    for_rows(x.rows(), d, [&](std::int64_t i) {
      const auto row = array(px + i * d, d);
      pr[i] = reciprocal_root(row, eps);
      array(py + i * d, d) = w * row * pr[i];
    });
  });
}

void add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, double eps, const Tensor& sum,
                  const Tensor& y, const Tensor& rstd) {
  const std::int64_t d = a.cols();
  visit_real(a.dtype(), "add_rms_norm", [&]<typename T>(T) {
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    const auto w = array<T>(weight.data<const T>(), d);
    T* ps = sum.data<T>();
    T* py = y.data<T>();
    T* pr = rstd.data<T>();
    for_rows(a.rows(), d, [&](std::int64_t i) {
      auto row = array(ps + i * d, d);
      row = array(pa + i * d, d) + array(pb + i * d, d);
      pr[i] = reciprocal_root(row, eps);
      array(py + i * d, d) = w * row * pr[i];
    });
  });
}

// dx = residual + rstd (w * dy - x rstd^2 mean(w * dy * x))
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& residual, const Tensor& dx) {
  const std::int64_t d = x.cols();
  visit_real(x.dtype(), "rms_norm_backward", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* px = x.data<T>();
    const auto w = array<T>(weight.data<const T>(), d);
    const T* pr = rstd.data<T>();
    const T* pres = residual.defined() ? residual.data<T>() : nullptr;
    T* pdx = dx.data<T>();
    for_rows(x.rows(), d, [&](std::int64_t i) {
      const auto g = array(pdy + i * d, d);
      const auto row = array(px + i * d, d);
      const T mean = (w * g * row).sum() / static_cast<T>(d);
      const auto through_norm = pr[i] * (w * g - row * (pr[i] * pr[i] * mean));
      if (pres == nullptr) {
        array(pdx + i * d, d) = through_norm;
      } else {
        array(pdx + i * d, d) = array(pres + i * d, d) + through_norm;
      }
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
