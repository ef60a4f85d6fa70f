#include "core/cpu/gemv.h"

#include <array>
#include <experimental/simd>
#include <utility>

#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

namespace stdx = std::experimental;
using Vector = stdx::native_simd<float>;

// The products of one row of w with each row of x. Two vectors at a time hide the latency of the additions.
template <std::size_t n>
std::array<float, n> dots(const float* w, const float* x, std::int64_t in) {
  constexpr auto lanes = static_cast<std::int64_t>(Vector::size());
  std::array<Vector, n> even{}, odd{};
  std::int64_t j = 0;
  for (; j + 2 * lanes <= in; j += 2 * lanes) {
    const Vector w0(w + j, stdx::element_aligned), w1(w + j + lanes, stdx::element_aligned);
    for (std::size_t i = 0; i < n; ++i) {
      const float* row = x + static_cast<std::int64_t>(i) * in + j;
      even[i] += w0 * Vector(row, stdx::element_aligned);
      odd[i] += w1 * Vector(row + lanes, stdx::element_aligned);
    }
  }
  std::array<float, n> sums;
  for (std::size_t i = 0; i < n; ++i) sums[i] = stdx::reduce(even[i] + odd[i]);
  for (; j < in; ++j) {
    for (std::size_t i = 0; i < n; ++i) sums[i] += w[j] * x[static_cast<std::int64_t>(i) * in + j];
  }
  return sums;
}

template <std::size_t n>
void multiply(const float* x, const float* w, float* y, std::int64_t out, std::int64_t in) {
  for_rows(out, in, [&](std::int64_t o) {
    const auto sums = dots<n>(w + o * in, x, in);
    for (std::size_t i = 0; i < n; ++i) y[static_cast<std::int64_t>(i) * out + o] = sums[i];
  });
}

}  // namespace

void gemv(const Tensor& x, const Tensor& w, const Tensor& y) {
  const auto run = [&](auto multiply_n) {
    multiply_n(x.data<float>(), w.data<float>(), y.data<float>(), w.rows(), w.cols());
  };
  switch (x.rows()) {
    case 1: return run(multiply<1>);
    case 2: return run(multiply<2>);
    case 3: return run(multiply<3>);
    case 4: return run(multiply<4>);
    default: return;
  }
}

}  // namespace csreft::cpu
