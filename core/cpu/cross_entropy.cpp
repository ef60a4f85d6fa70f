// -log softmax(logits)[target], row by row: a pass for the maximum and one for the sum of exponentials.
#include <cmath>
#include <limits>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

// Partial sums of the exponentials are float; their sum is double, so that 100,000 columns lose no digits.
constexpr std::int64_t chunk = 1024;

// Calls f(begin, count), which returns a sum over that part of a row of m columns.
template <typename F>
double sum_parts(std::int64_t m, const F& f) {
  double total = 0;
  for (std::int64_t begin = 0; begin < m; begin += chunk) {
    total += static_cast<double>(f(begin, std::min(chunk, m - begin)));
  }
  return total;
}

}  // namespace

void cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& loss) {
  const std::int64_t m = logits.cols();
  const auto* target = targets.data<std::int32_t>();
  visit_real(logits.dtype(), "cross_entropy", [&]<typename T>(T) {
    const T* pl = logits.data<T>();
    T* out = loss.data<T>();
    for_rows(logits.rows(), m, [&](std::int64_t row) {
      const T* x = pl + row * m;
      const T max = array(x, m).maxCoeff();
      const double total =
          sum_parts(m, [&](std::int64_t at, std::int64_t n) { return (array(x + at, n) - max).exp().sum(); });
      out[row] = static_cast<T>(std::log(total) + static_cast<double>(max - x[target[row]]));
    });
  });
}

void cross_entropy_with_gradient(const Tensor& targets, const Tensor& logits, const Tensor& loss) {
  const std::int64_t m = logits.cols();
  const auto* target = targets.data<std::int32_t>();
  visit_real(logits.dtype(), "cross_entropy_with_gradient_", [&]<typename T>(T) {
    T* pl = logits.data<T>();
    T* out = loss.data<T>();
    for_rows(logits.rows(), m, [&](std::int64_t row) {
      T* x = pl + row * m;
      const T max = array(x, m).maxCoeff();
      const T at_target = x[target[row]];
      const double total = sum_parts(m, [&](std::int64_t at, std::int64_t n) {
        auto part = array(x + at, n);
        part = (part - max).exp();
        return part.sum();
      });
      out[row] = static_cast<T>(std::log(total) + static_cast<double>(max - at_target));
      array(x, m) *= static_cast<T>(1 / total);
      x[target[row]] -= T{1};
    });
  });
}

}  // namespace csreft::cpu
