// Nonlinear functions of single elements.
#include <cmath>
#include <numbers>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

// y = f(x), element by element.
template <typename F>
void unary(std::string_view op, const Tensor& x, const Tensor& y, const F& f) {
  visit_real(y.dtype(), op, [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) py[i] = f(px[i]);
    });
  });
}

// y = f(a, b), element by element.
template <typename F>
void binary(std::string_view op, const Tensor& a, const Tensor& b, const Tensor& y, const F& f) {
  visit_real(y.dtype(), op, [&]<typename T>(T) {
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    T* py = y.data<T>();
    for_elements(y.numel(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) py[i] = f(pa[i], pb[i]);
    });
  });
}

template <typename T>
T logistic(T x) {
  return T{1} / (T{1} + std::exp(-x));
}

// The distribution function of a standard normal variable.
template <typename T>
T normal_cdf(T x) {
  return T{0.5} * (T{1} + std::erf(x / std::numbers::sqrt2_v<T>));
}

}  // namespace

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

void silu(const Tensor& x, const Tensor& y) {
  unary("silu", x, y, []<typename T>(T v) { return v * logistic(v); });
}

void silu_backward(const Tensor& dy, const Tensor& x, const Tensor& dx) {
  binary("silu_backward", dy, x, dx, []<typename T>(T d, T v) {
    const T s = logistic(v);
    return d * s * (T{1} + v * (T{1} - s));
  });
}

void tanh(const Tensor& x, const Tensor& y) {
  unary("tanh", x, y, []<typename T>(T v) { return std::tanh(v); });
}

void tanh_backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  binary("tanh_backward", dy, y, dx, []<typename T>(T d, T v) { return d * (T{1} - v * v); });
}

void gelu(const Tensor& x, const Tensor& y) {
  unary("gelu", x, y, []<typename T>(T v) { return v * normal_cdf(v); });
}

// d/dx (x Phi(x)) = Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi)
void gelu_backward(const Tensor& dy, const Tensor& x, const Tensor& dx) {
  binary("gelu_backward", dy, x, dx, []<typename T>(T d, T v) {
    constexpr T inverse_sqrt_2pi = std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
    return d * (normal_cdf(v) + v * inverse_sqrt_2pi * std::exp(T{-0.5} * v * v));
  });
}

void sign(const Tensor& x, const Tensor& y) {
  unary("sign", x, y, []<typename T>(T v) { return v > T{0} ? T{1} : v < T{0} ? T{-1} : v; });
}

void threshold(const Tensor& x, double tau, const Tensor& y) {
  unary("threshold", x, y, [tau]<typename T>(T v) { return v > static_cast<T>(tau) ? T{1} : T{0}; });
}

}  // namespace csreft::cpu
