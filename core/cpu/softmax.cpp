// Softmax of each row, and where its largest element is.
#include <algorithm>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {

void softmax(const Tensor& x, const Tensor& y) {
  const std::int64_t m = x.cols();
  if (m == 0) return;
  visit_real(x.dtype(), "softmax", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_rows(x.rows(), m, [&](std::int64_t row) {
      const auto in = array(px + row * m, m);
      auto out = array(py + row * m, m);
      out = (in - in.maxCoeff()).exp();
      out /= out.sum();
    });
  });
}

// dx = y * (dy - sum(dy * y))
void softmax_backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  const std::int64_t m = y.cols();
  visit_real(y.dtype(), "softmax_backward", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* py = y.data<T>();
    T* pdx = dx.data<T>();
    for_rows(y.rows(), m, [&](std::int64_t row) {
      const auto g = array(pdy + row * m, m);
      const auto p = array(py + row * m, m);
      array(pdx + row * m, m) = p * (g - (g * p).sum());
    });
  });
}

void one_hot_rows(const Tensor& x, const Tensor& y) {
  const std::int64_t m = x.cols();
  if (m == 0) return;
  visit_real(x.dtype(), "one_hot_rows", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_rows(x.rows(), m, [&](std::int64_t row) {
      const T* in = px + row * m;
      const std::int64_t largest = std::max_element(in, in + m) - in;
      for (std::int64_t i = 0; i < m; ++i) py[row * m + i] = i == largest ? T{1} : T{0};
    });
  });
}

}  // namespace csreft::cpu
