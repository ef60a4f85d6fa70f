// Matrix products: oneDNN's sgemm in f32; Eigen in f64, which is for checks and small algebra.
#include <algorithm>
#include <bit>
#include <cstdint>

#include <dnnl.hpp>
#include <omp.h>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"

namespace csreft::cpu {
namespace {

using ops::Transpose;

struct Extents {
  std::int64_t m, n, k;
};

void multiply(const Tensor& a, const Tensor& b, Transpose ta, Transpose tb, bool accumulate, float* y, Extents e) {
  // oneDNN's sgemm loses up to a fifth of its speed when a transposed b is as long as a vocabulary: it gets slabs.
  const std::int64_t slab = tb == Transpose::yes ? std::int64_t{768} * omp_get_max_threads() : e.n;
  for (std::int64_t begin = 0; begin < e.n; begin += slab) {
    const float* pb = b.data<float>() + (tb == Transpose::yes ? begin * b.cols() : 0);
    const auto status =
        dnnl_sgemm(ta == Transpose::yes ? 'T' : 'N', tb == Transpose::yes ? 'T' : 'N', e.m, std::min(slab, e.n - begin),
                   e.k, 1.0F, a.data<float>(), a.cols(), pb, b.cols(), accumulate ? 1.0F : 0.0F, y + begin, e.n);
    require(status == dnnl_success, "matmul [{}, {}] [{}, {}] failed in oneDNN with status {}: expected success", e.m,
            e.k, e.k, e.n, static_cast<int>(status));
  }
}

void multiply(const Tensor& a, const Tensor& b, Transpose ta, Transpose tb, bool accumulate, double* y, Extents e) {
  const auto ma = matrix<double>(a.data<const double>(), a.rows(), a.cols(), a.cols());
  const auto mb = matrix<double>(b.data<const double>(), b.rows(), b.cols(), b.cols());
  auto my = matrix(y, e.m, e.n, e.n);
  const auto product = [&](const auto& left, const auto& right) {
    if (accumulate) {
      my.noalias() += left * right;
    } else {
      my.noalias() = left * right;
    }
  };
  if (ta == Transpose::no && tb == Transpose::no) return product(ma, mb);
  if (ta == Transpose::no) return product(ma, mb.transpose());
  if (tb == Transpose::no) return product(ma.transpose(), mb);
  product(ma.transpose(), mb.transpose());
}

// To nearest, ties to even.
Tensor rounded_to_tf32(const Tensor& x) {
  const Tensor y = Tensor::empty(x.shape());
  std::ranges::transform(x.span<float>(), y.span<float>().begin(), [](float v) {
    constexpr std::uint32_t dropped = 13, exponent = 0x7f800000U;
    const auto bits = std::bit_cast<std::uint32_t>(v);
    if ((bits & exponent) == exponent) return v;  // not finite
    const std::uint32_t half = (1U << (dropped - 1)) - 1 + (bits >> dropped & 1U);
    return std::bit_cast<float>((bits + half) >> dropped << dropped);
  });
  return y;
}

}  // namespace

void matmul(const Tensor& a, const Tensor& b, Transpose transpose_a, Transpose transpose_b, bool accumulate,
            const Tensor& y) {
  const Extents e{y.rows(), y.cols(), transpose_a == Transpose::yes ? a.rows() : a.cols()};
  if (e.m == 0 || e.n == 0) return;
  if (e.k == 0) {
    if (!accumulate) fill(0, y);
    return;
  }
  visit_real(y.dtype(), "matmul",
             [&]<typename T>(T) { multiply(a, b, transpose_a, transpose_b, accumulate, y.data<T>(), e); });
}

void matmul_tf32(const Tensor& x, const Tensor& weight, Transpose transpose_weight, bool accumulate, const Tensor& y) {
  matmul(rounded_to_tf32(x), rounded_to_tf32(weight), Transpose::no, transpose_weight, accumulate, y);
}

void matmul_bf16(const Tensor& x, const Tensor& weight, Transpose transpose_weight, bool accumulate, const Tensor& y) {
  matmul(x.to(DType::bf16).to(DType::f32), weight.to(DType::f32), Transpose::no, transpose_weight, accumulate, y);
}

}  // namespace csreft::cpu
