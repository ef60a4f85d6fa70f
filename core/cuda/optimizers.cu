// Steps of AdamW, all parameters in one launch, and of gradient descent with momentum, element by element.
#include <cmath>

#include "core/cuda/ops.h"
#include "core/cuda/tensors.cuh"

namespace csreft::cuda {
namespace {

template <typename T>
struct AdamW {
  std::int64_t n;
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

void adamw(std::span<const ops::AdamWUpdate> updates) {
  const Tensor& first = updates.front().w;
  visit_real(first.dtype(), "adamw_", [&]<typename T>(T) {
    std::vector<AdamW<T>> items;
    for (const auto& [w, g, m, v, f] : updates) {
      items.push_back({w.numel(), elements<const T>(g), elements<T>(m), elements<T>(v), elements<T>(w),
                       static_cast<T>(f.decay), static_cast<T>(f.beta1), static_cast<T>(f.beta2),
                       static_cast<T>(f.step_size), static_cast<T>(f.root_correction), static_cast<T>(f.eps)});
    }
    for_tensors(context(first), items);
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
