// Matrix products and gated low-rank edits: what their arguments must be, and the call of a backend.
#include "core/ops/dispatch.h"

namespace csreft::ops {

Tensor matmul(const Tensor& a, const Tensor& b, Transpose transpose_a, Transpose transpose_b) {
  checks::real_matrix("matmul", "a", a);
  checks::real_matrix("matmul", "b", b);
  const std::int64_t m = transpose_a == Transpose::yes ? a.cols() : a.rows();
  const std::int64_t k = transpose_a == Transpose::yes ? a.rows() : a.cols();
  const std::int64_t n = transpose_b == Transpose::yes ? b.rows() : b.cols();
  checks::like("matmul", "b", b, transpose_b == Transpose::yes ? Shape{n, k} : Shape{k, n}, a);
  Tensor y = empty_like(a, {m, n});
  backend(a, &Backend::matmul)(a, b, transpose_a, transpose_b, false, y);
  return y;
}

void matmul_add_(const Tensor& y, const Tensor& a, const Tensor& b, Transpose transpose_a, Transpose transpose_b) {
  checks::real_matrix("matmul_add_", "y", y);
  checks::real_matrix("matmul_add_", "a", a);
  const std::int64_t m = y.rows(), n = y.cols();
  const std::int64_t k = transpose_a == Transpose::yes ? a.rows() : a.cols();
  checks::like("matmul_add_", "a", a, transpose_a == Transpose::yes ? Shape{k, m} : Shape{m, k}, y);
  checks::like("matmul_add_", "b", b, transpose_b == Transpose::yes ? Shape{n, k} : Shape{k, n}, y);
  backend(y, &Backend::matmul)(a, b, transpose_a, transpose_b, true, y);
}

namespace {

// A product with a weight that is stored as `dtype`, by a primitive that rounds its factors.
struct RoundedProduct {
  std::string_view op, add_op;  // of make and of add
  DType dtype;
  decltype(Backend::matmul_bf16) Backend::*primitive;

  // [m, n] of y = x op(weight), x [m, k].
  Shape shape(std::string_view name, const Tensor& x, const Tensor& weight, Transpose transpose_weight) const {
    require(x.defined() && x.shape().rank() == 2, "{}: x is no matrix: expected [m, k]", name);
    require(x.dtype() == DType::f32 || x.dtype() == dtype, "{}: x is {}, expected f32{}", name, name_of(x.dtype()),
            dtype == DType::f32 ? "" : fmt::format(" or {}", name_of(dtype)));
    const bool transposed = transpose_weight == Transpose::yes;
    require(weight.defined() && weight.dtype() == dtype && weight.shape().rank() == 2 &&
                weight.device() == x.device() && weight.shape()[transposed ? 1 : 0] == x.cols(),
            "{}: the weight does not fit x [{}, {}] on {}: expected a matrix of {} with as many {}", name, x.rows(),
            x.cols(), to_string(x.device()), name_of(dtype), transposed ? "columns" : "rows");
    return {x.rows(), weight.shape()[transposed ? 0 : 1]};
  }

  Tensor make(const Tensor& x, const Tensor& weight, Transpose transpose_weight) const {
    Tensor y = Tensor::empty(shape(op, x, weight, transpose_weight), DType::f32, x.device());
    backend(x, primitive)(x, weight, transpose_weight, false, y);
    return y;
  }
  void add(const Tensor& y, const Tensor& x, const Tensor& weight, Transpose transpose_weight) const {
    const Shape expected = shape(add_op, x, weight, transpose_weight);
    require(y.defined() && y.shape() == expected && y.dtype() == DType::f32 && y.device() == x.device(),
            "{}: y does not fit the product: expected f32 {} on {}", add_op, expected.str(), to_string(x.device()));
    backend(x, primitive)(x, weight, transpose_weight, true, y);
  }
};

constexpr RoundedProduct bf16_product{"matmul_bf16", "matmul_bf16_add_", DType::bf16, &Backend::matmul_bf16};
constexpr RoundedProduct tf32_product{"matmul_tf32", "matmul_tf32_add_", DType::f32, &Backend::matmul_tf32};

}  // namespace

Tensor matmul_bf16(const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  return bf16_product.make(x, weight, transpose_weight);
}
void matmul_bf16_add_(const Tensor& y, const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  bf16_product.add(y, x, weight, transpose_weight);
}

Tensor matmul_tf32(const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  return tf32_product.make(x, weight, transpose_weight);
}
void matmul_tf32_add_(const Tensor& y, const Tensor& x, const Tensor& weight, Transpose transpose_weight) {
  tf32_product.add(y, x, weight, transpose_weight);
}

namespace {

void check_gate(std::string_view op, const Tensor& u, const Tensor& alpha, const RowIndex& example) {
  checks::real_matrix(op, "u", u);
  checks::real_matrix(op, "alpha", alpha);
  checks::like(op, "alpha", alpha, alpha.shape(), u);
  require(alpha.cols() > 0 && u.cols() % alpha.cols() == 0, "{}: u has {} columns, expected a multiple of alpha's {}",
          op, u.cols(), alpha.cols());
  checks::row_index(op, "example", example, u.rows(), alpha);
  require(example.device() == Device{}, "{}: example is on {}, expected cpu", op, to_string(example.device()));
}

}  // namespace

Tensor low_rank_gate_(const Tensor& u, const Tensor& b, const Tensor& alpha, const RowIndex& example) {
  constexpr std::string_view op = "low_rank_gate_";
  checks::real_matrix(op, "u", u);
  if (b.defined()) checks::like(op, "b", b, {u.cols()}, u);
  if (alpha.defined()) check_gate(op, u, alpha, example);
  const Tensor gated = alpha.defined() ? empty_like(u) : u;
  if (b.defined() || alpha.defined()) backend(u, &Backend::low_rank_gate)(b, alpha, example.entries(), u, gated);
  return gated;
}

LowRankGateGradient low_rank_gate_backward(const Tensor& c, const Tensor& u, const Tensor& alpha,
                                           const RowIndex& example) {
  constexpr std::string_view op = "low_rank_gate_backward";
  check_gate(op, u, alpha, example);
  checks::like(op, "c", c, u.shape(), u);
  LowRankGateGradient d{empty_like(u), empty_like(u, {u.cols()}), empty_like(alpha)};
  backend(u, &Backend::low_rank_gate_backward)(c, u, alpha, example.entries(), d.gated_c, d.db, d.dalpha);
  return d;
}

}  // namespace csreft::ops
