// relu, sigmoid, and the entropy of a gate.
#include <cmath>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {

void relu(const Tensor& x, const Tensor& y) {
  visit_real(y.dtype(), "relu", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      // Written so that NaN stays NaN.
      for (std::int64_t i = begin; i < end; ++i) py[i] = px[i] < T{0} ? T{0} : px[i];
    });
  });
}

void relu_backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  visit_real(y.dtype(), "relu_backward", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* py = y.data<T>();
    T* pdx = dx.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) pdx[i] = py[i] > T{0} ? pdy[i] : T{0};
    });
  });
}

void sigmoid(const Tensor& x, const Tensor& y) {
  visit_real(y.dtype(), "sigmoid", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      array(py + begin, end - begin) = (T{1} + (-array(px + begin, end - begin)).exp()).inverse();
    });
  });
}

void sigmoid_backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  visit_real(y.dtype(), "sigmoid_backward", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* py = y.data<T>();
    T* pdx = dx.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) pdx[i] = pdy[i] * py[i] * (T{1} - py[i]);
    });
  });
}

void binary_entropy(const Tensor& p, const Tensor& y) {
  visit_real(y.dtype(), "binary_entropy", [&]<typename T>(T) {
    const T* pp = p.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T q = T{1} - pp[i];
        py[i] = (pp[i] == T{0} || q == T{0}) ? T{0} : -pp[i] * std::log(pp[i]) - q * std::log1p(-pp[i]);
      }
    });
  });
}

void binary_entropy_backward(const Tensor& dy, const Tensor& p, const Tensor& dp) {
  visit_real(dp.dtype(), "binary_entropy_backward", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* pp = p.data<T>();
    T* pdp = dp.data<T>();
    constexpr T margin = static_cast<T>(1e-7);
    for_elements(dp.numel(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T inside = std::clamp(pp[i], margin, T{1} - margin);
        pdp[i] = pdy[i] * (std::log1p(-inside) - std::log(inside));
      }
    });
  });
}

void xlogx(const Tensor& x, const Tensor& y) {
  visit_real(y.dtype(), "xlogx", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) py[i] = px[i] == T{0} ? T{0} : px[i] * std::log(px[i]);
    });
  });
}

void xlogx_backward(const Tensor& dy, const Tensor& x, const Tensor& dx) {
  visit_real(dx.dtype(), "xlogx_backward", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* px = x.data<T>();
    T* pdx = dx.data<T>();
    constexpr T margin = static_cast<T>(1e-7);
    for_elements(dx.numel(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) pdx[i] = pdy[i] * (std::log(std::max(px[i], margin)) + T{1});
    });
  });
}

}  // namespace csreft::cpu
