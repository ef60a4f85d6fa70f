// Steps of AdamW and of gradient descent with momentum, element by element.
#include <cmath>

#include "core/cpu/ops.h"

namespace csreft::cpu {
namespace {

// Below this many elements a team of threads costs more than it saves.
constexpr std::int64_t parallel_threshold = 1 << 15;

void adamw(const ops::AdamWUpdate& update) {
  visit_real(update.w.dtype(), "adamw_", [&]<typename T>(T) {
    const T* pg = update.g.data<T>();
    T* pm = update.m.data<T>();
    T* pv = update.v.data<T>();
    T* pw = update.w.data<T>();
    const auto& factors = update.factors;
    const std::int64_t n = update.w.numel();
    const T decay = static_cast<T>(factors.decay), beta1 = static_cast<T>(factors.beta1),
            beta2 = static_cast<T>(factors.beta2), step_size = static_cast<T>(factors.step_size),
            root_correction = static_cast<T>(factors.root_correction), eps = static_cast<T>(factors.eps);
#pragma omp parallel for simd schedule(static) if (n >= parallel_threshold)
    for (std::int64_t i = 0; i < n; ++i) {
      pm[i] = beta1 * pm[i] + (T{1} - beta1) * pg[i];
      pv[i] = beta2 * pv[i] + (T{1} - beta2) * pg[i] * pg[i];
      pw[i] = decay * pw[i] - step_size * pm[i] / (std::sqrt(pv[i]) * root_correction + eps);
    }
  });
}

}  // namespace

void adamw(std::span<const ops::AdamWUpdate> updates) {
  for (const ops::AdamWUpdate& update : updates) adamw(update);
}

void momentum_sgd(const Tensor& g, const ops::SgdFactors& factors, const Tensor& m, const Tensor& w) {
  visit_real(w.dtype(), "momentum_sgd_", [&]<typename T>(T) {
    const T* pg = g.data<T>();
    T* pm = m.data<T>();
    T* pw = w.data<T>();
    const std::int64_t n = w.numel();
    const T lr = static_cast<T>(factors.lr), momentum = static_cast<T>(factors.momentum),
            weight_decay = static_cast<T>(factors.weight_decay);
#pragma omp parallel for simd schedule(static) if (n >= parallel_threshold)
    for (std::int64_t i = 0; i < n; ++i) {
      pm[i] = momentum * pm[i] + (pg[i] + weight_decay * pw[i]);
      pw[i] -= lr * pm[i];
    }
  });
}

}  // namespace csreft::cpu
