// Steps of AdamW and of gradient descent with momentum, element by element.
#include <cmath>

#include "core/cuda/grid.cuh"
#include "core/cuda/ops.h"

namespace csreft::cuda {
namespace {

template <typename T>
struct AdamW {
  const T* g;
  T *m, *v, *w;
  T decay, beta1, beta2, step_size, root_correction, eps;
  __device__ void operator()(std::int64_t i) const {
    m[i] = beta1 * m[i] + (T{1} - beta1) * g[i];
    v[i] = beta2 * v[i] + (T{1} - beta2) * g[i] * g[i];
    w[i] = decay * w[i] - step_size * m[i] / (sqrt(v[i]) * root_correction + eps);
  }
};

template <typename T>
struct MomentumSgd {
  const T* g;
  T *m, *w;
  T lr, momentum, weight_decay;
  __device__ void operator()(std::int64_t i) const {
    m[i] = momentum * m[i] + (g[i] + weight_decay * w[i]);
    w[i] -= lr * m[i];
  }
};

}  // namespace

void adamw(const Tensor& g, const ops::AdamWFactors& factors, const Tensor& m, const Tensor& v, const Tensor& w) {
  visit_real(w.dtype(), "adamw_", [&]<typename T>(T) {
    for_elements(
        context(w), w.numel(),
        AdamW<T>{elements<const T>(g), elements<T>(m), elements<T>(v), elements<T>(w), static_cast<T>(factors.decay),
                 static_cast<T>(factors.beta1), static_cast<T>(factors.beta2), static_cast<T>(factors.step_size),
                 static_cast<T>(factors.root_correction), static_cast<T>(factors.eps)});
  });
}

void momentum_sgd(const Tensor& g, const ops::SgdFactors& factors, const Tensor& m, const Tensor& w) {
  visit_real(w.dtype(), "momentum_sgd_", [&]<typename T>(T) {
    for_elements(context(w), w.numel(),
                 MomentumSgd<T>{elements<const T>(g), elements<T>(m), elements<T>(w), static_cast<T>(factors.lr),
                                static_cast<T>(factors.momentum), static_cast<T>(factors.weight_decay)});
  });
}

}  // namespace csreft::cuda
