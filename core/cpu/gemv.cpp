#include "core/cpu/gemv.h"

#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {

void gemv(const Tensor& x, const Tensor& w, const Tensor& y) {
  const std::int64_t n = x.rows(), out = w.rows(), in = w.cols();
  if (n == 0) return;
  const auto* px = x.data<float>();
  const auto* pw = w.data<float>();
  auto* py = y.data<float>();
  for_rows(out, in, [&](std::int64_t o) { dots(n, pw + o * in, px, in, in, py + o, out); });
}

}  // namespace csreft::cpu
