// Gates of stacked subspaces: block j of r columns times the example's alpha_j.
#include <vector>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {

void scale_blocks(const Tensor& u, const Tensor& alpha, const Tensor& example, const Tensor& y) {
  const std::int64_t m = u.cols(), k = alpha.cols();
  const std::int64_t r = k == 0 ? 0 : m / k;
  const auto* of = example.data<std::int32_t>();
  visit_real(u.dtype(), "scale_blocks", [&]<typename T>(T) {
    const T* pu = u.data<T>();
    const T* pa = alpha.data<T>();
    T* py = y.data<T>();
    for_rows(u.rows(), m, [&](std::int64_t i) {
      for (std::int64_t j = 0; j < k; ++j) {
        array(py + i * m + j * r, r) = pa[of[i] * k + j] * array(pu + i * m + j * r, r);
      }
    });
  });
}

void scale_blocks_backward_alpha(const Tensor& dy, const Tensor& u, const Tensor& example, const Tensor& dalpha) {
  const std::int64_t m = u.cols(), k = dalpha.cols();
  const std::int64_t r = k == 0 ? 0 : m / k;
  const auto* of = example.data<std::int32_t>();
  visit_real(u.dtype(), "scale_blocks_backward_alpha", [&]<typename T>(T) {
    const T* pdy = dy.data<T>();
    const T* pu = u.data<T>();
    std::vector<double> sums(static_cast<std::size_t>(dalpha.numel()));
    for (std::int64_t i = 0; i < u.rows(); ++i) {
      for (std::int64_t j = 0; j < k; ++j) {
        const std::int64_t at = i * m + j * r;
        sums[static_cast<std::size_t>(of[i] * k + j)] +=
            static_cast<double>((array(pdy + at, r) * array(pu + at, r)).sum());
      }
    }
    std::transform(sums.begin(), sums.end(), dalpha.data<T>(), [](double s) { return static_cast<T>(s); });
  });
}

}  // namespace csreft::cpu
