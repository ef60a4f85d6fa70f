// Between the two thin products of a low-rank edit: offsets, and the gates of stacked subspaces.
#include <vector>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {

void low_rank_gate(const Tensor& b, const Tensor& alpha, const Tensor& example, const Tensor& u, const Tensor& gated) {
  const std::int64_t q = u.cols(), k = alpha.defined() ? alpha.cols() : 0, r = k == 0 ? 0 : q / k;
  const auto* of = k == 0 ? nullptr : example.data<std::int32_t>();
  visit_real(u.dtype(), "low_rank_gate", [&]<typename T>(T) {
    const T* pb = b.defined() ? b.data<T>() : nullptr;
    const T* pa = k == 0 ? nullptr : alpha.data<T>();
    T* pu = u.data<T>();
    T* py = gated.data<T>();
    for_rows(u.rows(), q, [&](std::int64_t i) {
      if (pb != nullptr) array(pu + i * q, q) += array(pb, q);
      for (std::int64_t j = 0; j < k; ++j) {
        array(py + i * q + j * r, r) = pa[of[i] * k + j] * array(pu + i * q + j * r, r);
      }
    });
  });
}

void low_rank_gate_backward(const Tensor& c, const Tensor& u, const Tensor& alpha, const Tensor& example,
                            const Tensor& gated_c, const Tensor& db, const Tensor& dalpha) {
  const std::int64_t q = u.cols(), k = alpha.cols(), r = q / k;
  const auto* of = example.data<std::int32_t>();
  visit_real(u.dtype(), "low_rank_gate_backward", [&]<typename T>(T) {
    const T* pc = c.data<T>();
    const T* pu = u.data<T>();
    const T* pa = alpha.data<T>();
    T* pg = gated_c.data<T>();
    std::vector<double> sums(static_cast<std::size_t>(dalpha.numel()));
    for (std::int64_t i = 0; i < u.rows(); ++i) {
      for (std::int64_t j = 0; j < k; ++j) {
        const std::int64_t gate = of[i] * k + j, at = i * q + j * r;
        const auto block = array(pc + at, r);
        array(pg + at, r) = pa[gate] * block;
        sums[static_cast<std::size_t>(gate)] += static_cast<double>((block * array(pu + at, r)).sum());
      }
    }
    std::transform(sums.begin(), sums.end(), dalpha.data<T>(), [](double s) { return static_cast<T>(s); });
    reduce_rows(u.rows(), q, db.data<T>(), [&](std::int64_t i, T* sum) { array(sum, q) += array(pg + i * q, q); });
  });
}

}  // namespace csreft::cpu
