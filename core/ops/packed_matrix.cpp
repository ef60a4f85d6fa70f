#include "core/ops/packed_matrix.h"

#include <string_view>

#include "core/device/backend.h"
#include "core/ops/checks.h"

namespace csreft {
namespace {

void check_rows(std::string_view op, const Tensor& x, std::int64_t columns, const PackedMatrix& matrix) {
  require(x.defined() && x.shape().rank() == 2, "{}: x is no matrix: expected [n, {}]", op, columns);
  require(
      x.cols() == columns && (x.dtype() == matrix.dtype() || x.dtype() == matrix.factor_dtype()),
      "{}: x is {} with {} columns, expected {}{} with {}", op, name_of(x.dtype()), x.cols(), name_of(matrix.dtype()),
      matrix.factor_dtype() == matrix.dtype() ? "" : fmt::format(" or {}", name_of(matrix.factor_dtype())), columns);
}

}  // namespace

struct PackedMatrix::Impl {
  std::int64_t out, in;
  DType dtype;
  PackedProducts products;
};

PackedMatrix::PackedMatrix(const Tensor& weight, Packing packing) {
  checks::real_matrix("PackedMatrix", "weight", weight);
  impl_ = std::make_shared<const Impl>(
      Impl{weight.rows(), weight.cols(), weight.dtype(), backend_of(weight.device()).pack(weight, packing)});
}

PackedMatrix::PackedMatrix(const StoredMatrix& weight, Packing packing, const Device& device) {
  if (device.type != DeviceType::cpu) {
    *this = PackedMatrix(weight.decoded().to(device), packing);
    return;
  }
  impl_ = std::make_shared<const Impl>(
      Impl{weight.rows(), weight.cols(), DType::f32, backend_of(device).pack_stored(weight, packing)});
}

std::int64_t copied_bytes(Packing packing, bool is_stored) {
  return backend_of(Device{}).copied_bytes(packing, is_stored);
}

std::int64_t PackedMatrix::out_features() const { return impl_->out; }
std::int64_t PackedMatrix::in_features() const { return impl_->in; }
DType PackedMatrix::dtype() const { return impl_->dtype; }
DType PackedMatrix::factor_dtype() const { return impl_->products.factor_dtype; }
std::int64_t PackedMatrix::read_bytes(std::int64_t rows) const { return impl_->products.read_bytes(rows); }

Tensor PackedMatrix::apply(const Tensor& x) const {
  check_rows("PackedMatrix::apply", x, impl_->in, *this);
  return impl_->products.apply(x);
}

Tensor PackedMatrix::apply_transposed(const Tensor& y) const {
  check_rows("PackedMatrix::apply_transposed", y, impl_->out, *this);
  return impl_->products.apply_transposed(y);
}

void PackedMatrix::apply_transposed_add_(const Tensor& sum, const Tensor& y) const {
  check_rows("PackedMatrix::apply_transposed_add_", y, impl_->out, *this);
  require(sum.defined() && sum.shape() == Shape{y.rows(), impl_->in} && sum.dtype() == impl_->dtype,
          "PackedMatrix::apply_transposed_add_: the sum does not fit, expected {} [{}, {}]", name_of(impl_->dtype),
          y.rows(), impl_->in);
  impl_->products.apply_transposed_add_(sum, y);
}

}  // namespace csreft
