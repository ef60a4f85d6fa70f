#include "core/ops/stored_rows.h"

namespace csreft::ops {

Tensor gather_rows(const StoredMatrix& x, const RowIndex& index) {
  constexpr std::string_view op = "gather_rows";
  require(index.defined() && index.device() == Device{}, "{}: the index is not on the host, where the matrix is", op);
  require(index.bound() <= x.rows(), "{}: the index names row {}, expected one of {}", op, index.bound() - 1, x.rows());
  Tensor y = Tensor::empty({index.size(), x.cols()});
  float* values = y.data<float>();
  const auto* rows = index.entries().data<std::int32_t>();
#pragma omp parallel for schedule(static) if (y.numel() > 1 << 16)
  for (std::int64_t i = 0; i < y.rows(); ++i) {
    x.decode(rows[i] * x.cols(), (rows[i] + 1) * x.cols(), values + i * x.cols());
  }
  return y;
}

}  // namespace csreft::ops
