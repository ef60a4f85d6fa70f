// Nonlinear functions of single elements.
#include <cmath>
#include <numbers>

#include "core/cuda/grid.cuh"
#include "core/cuda/ops.h"

namespace csreft::cuda {
namespace {

// The distance that is kept from 0 and 1 where a derivative has no finite value there.
constexpr double margin = 1e-7;

struct Relu {
  // Written so that NaN stays NaN.
  template <typename T>
  __device__ T operator()(T x) const {
    return x < T{0} ? T{0} : x;
  }
};
struct ReluBackward {
  template <typename T>
  __device__ T operator()(T dy, T y) const {
    return y > T{0} ? dy : T{0};
  }
};
struct Sigmoid {
  template <typename T>
  __device__ T operator()(T x) const {
    return T{1} / (T{1} + exp(-x));
  }
};
struct SigmoidBackward {
  template <typename T>
  __device__ T operator()(T dy, T y) const {
    return dy * y * (T{1} - y);
  }
};
struct BinaryEntropy {
  template <typename T>
  __device__ T operator()(T p) const {
    const T q = T{1} - p;
    return (p == T{0} || q == T{0}) ? T{0} : -p * log(p) - q * log1p(-p);
  }
};
struct BinaryEntropyBackward {
  template <typename T>
  __device__ T operator()(T dy, T p) const {
    const T low = static_cast<T>(margin), high = T{1} - low;
    const T inside = p < low ? low : (p > high ? high : p);
    return dy * (log1p(-inside) - log(inside));
  }
};
struct XLogX {
  template <typename T>
  __device__ T operator()(T x) const {
    return x == T{0} ? T{0} : x * log(x);
  }
};
struct XLogXBackward {
  template <typename T>
  __device__ T operator()(T dy, T x) const {
    const T low = static_cast<T>(margin);
    return dy * (log(x < low ? low : x) + T{1});
  }
};

struct Silu {
  template <typename T>
  __device__ T operator()(T x) const {
    return x * Sigmoid{}(x);
  }
};
struct SiluBackward {
  template <typename T>
  __device__ T operator()(T dy, T x) const {
    const T s = Sigmoid{}(x);
    return dy * s * (T{1} + x * (T{1} - s));
  }
};
struct Tanh {
  template <typename T>
  __device__ T operator()(T x) const {
    return ::tanh(x);
  }
};
struct TanhBackward {
  template <typename T>
  __device__ T operator()(T dy, T y) const {
    return dy * (T{1} - y * y);
  }
};
// The distribution function of a standard normal variable.
struct NormalCdf {
  template <typename T>
  __device__ T operator()(T x) const {
    constexpr T sqrt_2 = std::numbers::sqrt2_v<T>;
    return T{0.5} * (T{1} + erf(x / sqrt_2));
  }
};
struct Gelu {
  template <typename T>
  __device__ T operator()(T x) const {
    return x * NormalCdf{}(x);
  }
};
// d/dx (x Phi(x)) = Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi)
struct GeluBackward {
  template <typename T>
  __device__ T operator()(T dy, T x) const {
    constexpr T inverse_sqrt_2pi = std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
    return dy * (NormalCdf{}(x) + x * inverse_sqrt_2pi * exp(T{-0.5} * x * x));
  }
};
struct Sign {
  template <typename T>
  __device__ T operator()(T x) const {
    return x > T{0} ? T{1} : x < T{0} ? T{-1} : x;
  }
};
template <typename T>
struct Threshold {
  const T* x;
  T tau;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = x[i] > tau ? T{1} : T{0}; }
};

template <typename F, typename T>
struct UnaryElements {
  const T* x;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = F{}(x[i]); }
};
template <typename F, typename T>
struct BinaryElements {
  const T *a, *b;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = F{}(a[i], b[i]); }
};

template <typename F>
void unary(std::string_view op, const Tensor& x, const Tensor& y) {
  visit_real(y.dtype(), op, [&]<typename T>(T) {
    for_elements(context(y), y.numel(), UnaryElements<F, T>{elements<const T>(x), elements<T>(y)});
  });
}
template <typename F>
void binary(std::string_view op, const Tensor& a, const Tensor& b, const Tensor& y) {
  visit_real(y.dtype(), op, [&]<typename T>(T) {
    for_elements(context(y), y.numel(),
                 BinaryElements<F, T>{elements<const T>(a), elements<const T>(b), elements<T>(y)});
  });
}

}  // namespace

void relu(const Tensor& x, const Tensor& y) { unary<Relu>("relu", x, y); }
void relu_backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  binary<ReluBackward>("relu_backward", dy, y, dx);
}
void sigmoid(const Tensor& x, const Tensor& y) { unary<Sigmoid>("sigmoid", x, y); }
void sigmoid_backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  binary<SigmoidBackward>("sigmoid_backward", dy, y, dx);
}
void binary_entropy(const Tensor& p, const Tensor& y) { unary<BinaryEntropy>("binary_entropy", p, y); }
void binary_entropy_backward(const Tensor& dy, const Tensor& p, const Tensor& dp) {
  binary<BinaryEntropyBackward>("binary_entropy_backward", dy, p, dp);
}
void xlogx(const Tensor& x, const Tensor& y) { unary<XLogX>("xlogx", x, y); }
void xlogx_backward(const Tensor& dy, const Tensor& x, const Tensor& dx) {
  binary<XLogXBackward>("xlogx_backward", dy, x, dx);
}
void silu(const Tensor& x, const Tensor& y) { unary<Silu>("silu", x, y); }
void silu_backward(const Tensor& dy, const Tensor& x, const Tensor& dx) {
  binary<SiluBackward>("silu_backward", dy, x, dx);
}
void tanh(const Tensor& x, const Tensor& y) { unary<Tanh>("tanh", x, y); }
void tanh_backward(const Tensor& dy, const Tensor& y, const Tensor& dx) {
  binary<TanhBackward>("tanh_backward", dy, y, dx);
}
void gelu(const Tensor& x, const Tensor& y) { unary<Gelu>("gelu", x, y); }
void gelu_backward(const Tensor& dy, const Tensor& x, const Tensor& dx) {
  binary<GeluBackward>("gelu_backward", dy, x, dx);
}
void sign(const Tensor& x, const Tensor& y) { unary<Sign>("sign", x, y); }
void threshold(const Tensor& x, double tau, const Tensor& y) {
  visit_real(y.dtype(), "threshold", [&]<typename T>(T) {
    for_elements(context(y), y.numel(), Threshold<T>{elements<const T>(x), static_cast<T>(tau), elements<T>(y)});
  });
}

}  // namespace csreft::cuda
