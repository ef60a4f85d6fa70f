// Tensors filled with random numbers.
#include <numbers>

#include "core/cuda/grid.cuh"
#include "core/cuda/ops.h"
#include "core/tensor/philox.h"

namespace csreft::cuda {
namespace {

template <typename T>
struct Uniform {
  double low, high;
  std::uint64_t seed, stream;
  T* y;
  __device__ void operator()(std::int64_t i) const {
    const PhiloxBlock block = philox_block(seed, stream, static_cast<std::uint64_t>(i));
    y[i] = static_cast<T>(fma(high - low, uniform_of(block.words[0]), low));
  }
};

// Elements 2j and 2j + 1 of n.
template <typename T>
struct Normal {
  double mean, deviation;
  std::uint64_t seed, stream;
  std::int64_t n;
  T* y;
  __device__ void operator()(std::int64_t j) const {
    constexpr double two_pi = 2.0 * std::numbers::pi;
    const PhiloxBlock block = philox_block(seed, stream, static_cast<std::uint64_t>(j));
    const double radius = deviation * sqrt(-2.0 * log(positive_uniform_of(block.words[0])));
    const double angle = two_pi * positive_uniform_of(block.words[1]);
    y[2 * j] = static_cast<T>(mean + radius * cos(angle));
    if (2 * j + 1 < n) y[2 * j + 1] = static_cast<T>(mean + radius * sin(angle));
  }
};

template <typename T>
struct Gumbel {
  std::uint64_t seed, stream, first;
  T* y;
  __device__ void operator()(std::int64_t i) const {
    const PhiloxBlock block = philox_block(seed, stream, first + static_cast<std::uint64_t>(i));
    y[i] = static_cast<T>(-log(-log(open_uniform_of(block.words[0]))));
  }
};

template <typename T>
struct Dropout {
  const T* x;
  double p;
  std::uint64_t seed, stream, first;
  T factor;
  T* y;
  __device__ void operator()(std::int64_t i) const {
    const PhiloxBlock block = philox_block(seed, stream, first + static_cast<std::uint64_t>(i));
    y[i] = uniform_of(block.words[0]) >= p ? factor * x[i] : T{0};
  }
};

}  // namespace

void fill_uniform(double low, double high, std::uint64_t seed, std::uint64_t stream, const Tensor& y) {
  visit_real(y.dtype(), "fill_uniform_", [&]<typename T>(T) {
    for_elements(context(y), y.numel(), Uniform<T>{low, high, seed, stream, elements<T>(y)});
  });
}

void fill_normal(double mean, double deviation, std::uint64_t seed, std::uint64_t stream, const Tensor& y) {
  visit_real(y.dtype(), "fill_normal_", [&]<typename T>(T) {
    for_elements(context(y), (y.numel() + 1) / 2, Normal<T>{mean, deviation, seed, stream, y.numel(), elements<T>(y)});
  });
}

void fill_gumbel(std::uint64_t seed, std::uint64_t stream, std::uint64_t first, const Tensor& y) {
  visit_real(y.dtype(), "fill_gumbel_", [&]<typename T>(T) {
    for_elements(context(y), y.numel(), Gumbel<T>{seed, stream, first, elements<T>(y)});
  });
}

void dropout(const Tensor& x, double p, std::uint64_t seed, std::uint64_t stream, std::uint64_t first,
             const Tensor& y) {
  visit_real(y.dtype(), "dropout", [&]<typename T>(T) {
    for_elements(
        context(y), y.numel(),
        Dropout<T>{elements<const T>(x), p, seed, stream, first, static_cast<T>(1.0 / (1.0 - p)), elements<T>(y)});
  });
}

}  // namespace csreft::cuda
