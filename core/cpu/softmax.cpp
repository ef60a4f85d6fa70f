// Softmax of each row, and where its largest elements are.
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

void top_k_rows(const Tensor& x, std::int64_t k, const Tensor& y) {
  const std::int64_t m = x.cols();
  visit_real(x.dtype(), "top_k_rows", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_rows(x.rows(), m * m, [&](std::int64_t row) {
      const T* in = px + row * m;
      for (std::int64_t i = 0; i < m; ++i) {
        std::int64_t before = 0;
        for (std::int64_t j = 0; j < m; ++j) before += in[j] > in[i] || (in[j] == in[i] && j < i) ? 1 : 0;
        py[row * m + i] = before < k ? T{1} : T{0};
      }
    });
  });
}

}  // namespace csreft::cpu
