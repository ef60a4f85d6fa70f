#include "tests/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

using csreft::Tensor;

double largest_element(const Tensor& x) {
  double largest = 0.0;
  for (const double value : x.to(csreft::DType::f64).span<double>()) {
    if (std::isnan(value)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(value));
  }
  return largest;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  csreft::require(a.shape() == b.shape(), "shapes {} and {} differ", a.shape().str(), b.shape().str());
  const Tensor x = a.to(csreft::DType::f64), y = b.to(csreft::DType::f64);
  const Tensor difference = Tensor::empty(a.shape(), csreft::DType::f64);
  std::ranges::transform(x.span<double>(), y.span<double>(), difference.span<double>().begin(), std::minus<>{});
  return largest_element(difference);
}
