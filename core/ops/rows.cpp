// Primitives on the rows of a matrix: what their arguments must be, and the call of a backend.
#include "core/ops/dispatch.h"

namespace csreft::ops {

namespace {

// An index of a row of y for each of `rows`, which the operation reads on the host.
void check_host_places(std::string_view op, const Tensor& y, const RowIndex& index, const Tensor& rows) {
  checks::row_index(op, "index", index, rows.rows(), y);
  require(index.device() == Device{}, "{}: index is on {}, expected cpu", op, to_string(index.device()));
}

void check_scatter(std::string_view op, const Tensor& y, const Tensor& rows) {
  checks::real_matrix(op, "y", y);
  checks::real_matrix(op, "rows", rows);
  checks::like(op, "rows", rows, {rows.rows(), y.cols()}, y);
}

// The same for rows of f32 that y holds in bf16.
void check_rounded_scatter(std::string_view op, const Tensor& y, const Tensor& rows) {
  checks::real_matrix(op, "rows", rows);
  require(y.shape().rank() == 2 && y.cols() == rows.cols() && rows.dtype() == DType::f32 && y.device() == rows.device(),
          "{}: rows {} of {} do not fit y {} of bf16: expected f32 with as many columns on {}", op, rows.shape().str(),
          name_of(rows.dtype()), y.shape().str(), to_string(y.device()));
}

}  // namespace

Tensor softmax(const Tensor& x) {
  checks::real_matrix("softmax", "x", x);
  return unary("softmax", x, &Backend::softmax);
}

Tensor top_k_rows(const Tensor& x, std::int64_t k) {
  checks::real_matrix("top_k_rows", "x", x);
  require(1 <= k && k <= x.cols(), "top_k_rows: k is {}, expected 1 to {}, the length of a row", k, x.cols());
  Tensor y = empty_like(x);
  backend(x, &Backend::top_k_rows)(x, k, y);
  return y;
}

Tensor softmax_backward(const Tensor& dy, const Tensor& y) {
  checks::real_matrix("softmax_backward", "y", y);
  return binary("softmax_backward", dy, y, &Backend::softmax_backward);
}

Tensor add_row(const Tensor& x, const Tensor& row) { return broadcast("add_row", x, row, &Backend::add_row); }
Tensor mul_row(const Tensor& x, const Tensor& row) { return broadcast("mul_row", x, row, &Backend::mul_row); }

Tensor sum_rows(const Tensor& x) {
  checks::real_matrix("sum_rows", "x", x);
  Tensor y = empty_like(x, {x.cols()});
  backend(x, &Backend::sum_rows)(x, y);
  return y;
}

Tensor gather_rows(const Tensor& x, const RowIndex& index) {
  checks::real_matrix("gather_rows", "x", x);
  checks::row_index("gather_rows", "index", index, index.size(), x);
  Tensor y = empty_like(x, {index.size(), x.cols()});
  backend(x, &Backend::gather_rows)(x, index.entries(), y);
  return y;
}

void scatter_rows_(const Tensor& y, const RowIndex& index, const Tensor& rows) {
  const bool rounds = y.defined() && y.dtype() == DType::bf16;
  (rounds ? check_rounded_scatter : check_scatter)("scatter_rows_", y, rows);
  checks::row_index("scatter_rows_", "index", index, rows.rows(), y);
  backend(y, &Backend::scatter_rows)(index.entries(), rows, y);
}

void scatter_add_rows_(const Tensor& y, const RowIndex& index, const Tensor& rows) {
  check_scatter("scatter_add_rows_", y, rows);
  check_host_places("scatter_add_rows_", y, index, rows);
  backend(y, &Backend::scatter_add_rows)(index.entries(), rows, y);
}

Tensor add_rows(const Tensor& x, const RowIndex& index, const Tensor& rows) {
  check_scatter("add_rows", x, rows);
  check_host_places("add_rows", x, index, rows);
  require(index.distinct(), "add_rows: index names row {} twice, expected each row once", index.repeated());
  Tensor y = empty_like(x);
  backend(x, &Backend::add_rows)(x, index.entries(), rows, y);
  return y;
}

Tensor segment_mean(const Tensor& x, const Tensor& offsets) {
  checks::real_matrix("segment_mean", "x", x);
  checks::offsets("segment_mean", "offsets", offsets, x.rows());
  Tensor y = empty_like(x, {offsets.numel() - 1, x.cols()});
  backend(x, &Backend::segment_mean)(x, offsets, y);
  return y;
}

Tensor segment_mean_backward(const Tensor& dy, const Tensor& offsets) {
  checks::real_matrix("segment_mean_backward", "dy", dy);
  checks::index("segment_mean_backward", "offsets", offsets, dy.rows() + 1);
  const std::int64_t n = offsets.span<std::int32_t>().back();
  checks::offsets("segment_mean_backward", "offsets", offsets, n);
  Tensor dx = empty_like(dy, {n, dy.cols()});
  backend(dy, &Backend::segment_mean_backward)(dy, offsets, dx);
  return dx;
}

}  // namespace csreft::ops
