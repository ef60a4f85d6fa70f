// SwiGLU's activation: y = gate sigmoid(gate) up.
#include <cmath>

#include "core/cuda/grid.cuh"
#include "core/cuda/ops.h"

namespace csreft::cuda {
namespace {

template <typename T>
struct SiluMul {
  const T *gate, *up;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = gate[i] * up[i] / (T{1} + exp(-gate[i])); }
};

// With s = sigmoid(g): dup = dy g s, dgate = dy up s (1 + g (1 - s)).
template <typename T>
struct SiluMulBackward {
  const T *dy, *gate, *up;
  T *dgate, *dup;
  __device__ void operator()(std::int64_t i) const {
    const T g = gate[i];
    const T s = T{1} / (T{1} + exp(-g));
    dup[i] = dy[i] * g * s;
    dgate[i] = dy[i] * up[i] * s * (T{1} + g * (T{1} - s));
  }
};

}  // namespace

void silu_mul(const Tensor& gate, const Tensor& up, const Tensor& y) {
  visit_real(y.dtype(), "silu_mul", [&]<typename T>(T) {
    for_elements(context(y), y.numel(), SiluMul<T>{elements<const T>(gate), elements<const T>(up), elements<T>(y)});
  });
}

void silu_mul_backward(const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate, const Tensor& dup) {
  visit_real(dy.dtype(), "silu_mul_backward", [&]<typename T>(T) {
    for_elements(context(dy), dy.numel(),
                 SiluMulBackward<T>{elements<const T>(dy), elements<const T>(gate), elements<const T>(up),
                                    elements<T>(dgate), elements<T>(dup)});
  });
}

}  // namespace csreft::cuda
