// Tensors filled with random numbers.
#include <cmath>
#include <numbers>

#include "core/cpu/ops.h"
#include "core/tensor/philox.h"

namespace csreft::cpu {

void fill_uniform(double low, double high, std::uint64_t seed, std::uint64_t stream, const Tensor& y) {
  visit_real(y.dtype(), "fill_uniform_", [&]<typename T>(T) {
    T* const out = y.data<T>();
    const std::int64_t n = y.numel();
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n; ++i) {
      const auto block = philox_block(seed, stream, static_cast<std::uint64_t>(i));
      out[i] = static_cast<T>(std::fma(high - low, uniform_of(block.words[0]), low));
    }
  });
}

void fill_normal(double mean, double deviation, std::uint64_t seed, std::uint64_t stream, const Tensor& y) {
  visit_real(y.dtype(), "fill_normal_", [&]<typename T>(T) {
    T* const out = y.data<T>();
    const std::int64_t n = y.numel();
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n; i += 2) {
      const auto block = philox_block(seed, stream, static_cast<std::uint64_t>(i / 2));
      const double radius = deviation * std::sqrt(-2.0 * std::log(positive_uniform_of(block.words[0])));
      const double angle = 2.0 * std::numbers::pi * positive_uniform_of(block.words[1]);
      out[i] = static_cast<T>(mean + radius * std::cos(angle));
      if (i + 1 < n) out[i + 1] = static_cast<T>(mean + radius * std::sin(angle));
    }
  });
}

void fill_gumbel(std::uint64_t seed, std::uint64_t stream, std::uint64_t first, const Tensor& y) {
  visit_real(y.dtype(), "fill_gumbel_", [&]<typename T>(T) {
    T* const out = y.data<T>();
    const std::int64_t n = y.numel();
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n; ++i) {
      const auto block = philox_block(seed, stream, first + static_cast<std::uint64_t>(i));
      out[i] = static_cast<T>(-std::log(-std::log(open_uniform_of(block.words[0]))));
    }
  });
}

void dropout(const Tensor& x, double p, std::uint64_t seed, std::uint64_t stream, std::uint64_t first,
             const Tensor& y) {
  visit_real(y.dtype(), "dropout", [&]<typename T>(T) {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    const T factor = static_cast<T>(1.0 / (1.0 - p));
    const std::int64_t n = y.numel();
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n; ++i) {
      const auto block = philox_block(seed, stream, first + static_cast<std::uint64_t>(i));
      out[i] = uniform_of(block.words[0]) >= p ? factor * in[i] : T{0};
    }
  });
}

}  // namespace csreft::cpu
