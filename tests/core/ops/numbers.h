// What the numeric tests of this room share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <vector>

#include "core/ops/ops.h"
#include "core/tensor/random.h"

namespace csreft::test {

// Standard normal elements; tensors with different numbers differ.
inline Tensor normal(Shape shape, std::uint64_t number, DType dtype = DType::f64) {
  return random_normal(shape, 0, 1, 7, number, dtype);
}

inline Tensor indices(std::initializer_list<std::int32_t> values) {
  const std::vector<std::int32_t> copy(values);
  return Tensor::from(std::span<const std::int32_t>(copy), {static_cast<std::int64_t>(copy.size())});
}

inline Tensor values(std::initializer_list<double> list, Shape shape) {
  const std::vector<double> copy(list);
  return Tensor::from(std::span<const double>(copy), shape);
}

// The largest |a - b|; infinite if the shapes differ or an element of only one is NaN.
inline double distance(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return HUGE_VAL;
  const Tensor x = a.to(DType::f64), y = b.to(DType::f64);
  double largest = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double p = x.data<double>()[i], q = y.data<double>()[i];
    if (std::isnan(p) != std::isnan(q)) return HUGE_VAL;
    if (!std::isnan(p)) largest = std::max(largest, std::abs(p - q));
  }
  return largest;
}

inline bool all_finite(const Tensor& x) {
  const Tensor wide = x.to(DType::f64);
  return std::ranges::all_of(wide.span<double>(), [](double value) { return std::isfinite(value); });
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

// f of each element in f64, as a reference.
inline Tensor map(const Tensor& x, const std::function<double(double)>& f) {
  Tensor y = x.to(DType::f64).clone();
  for (double& v : y.span<double>()) v = f(v);
  return y;
}

// The gradient of loss() with respect to the f64 tensor x that it reads, by central differences. The error is about
// h^2 f''' / 6 + 1e-16 |f| / h: some 1e-9 for losses of order 1 to 10.
template <typename Loss>
Tensor numeric_gradient(const Tensor& x, const Loss& loss) {
  constexpr double h = 1e-5;
  Tensor gradient = Tensor::empty(x.shape(), DType::f64);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    double& element = x.data<double>()[i];
    const double before = element;
    element = before + h;
    const double above = loss();
    element = before - h;
    const double below = loss();
    element = before;
    gradient.data<double>()[i] = (above - below) / (2 * h);
  }
  return gradient;
}

// sum(a * b), as a double.
inline double dot(const Tensor& a, const Tensor& b) { return ops::sum(ops::mul(a, b)).item(); }

}  // namespace csreft::test
