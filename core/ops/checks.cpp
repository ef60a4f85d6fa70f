#include "core/ops/checks.h"

#include <cmath>
#include <vector>

namespace csreft::checks {

void real(std::string_view op, std::string_view name, const Tensor& t) {
  require(t.defined(), "{}: {} is undefined, expected a tensor", op, name);
  require(t.dtype() == DType::f32 || t.dtype() == DType::f64, "{}: {} is {}, expected f32 or f64", op, name,
          name_of(t.dtype()));
}

void real_matrix(std::string_view op, std::string_view name, const Tensor& t) {
  real(op, name, t);
  if (t.shape().rank() != 2) fail("{}: {} has shape {}, expected a matrix", op, name, t.shape().str());
}

void like(std::string_view op, std::string_view name, const Tensor& t, const Shape& shape, const Tensor& other) {
  require(t.defined(), "{}: {} is undefined, expected a tensor", op, name);
  if (t.shape() != shape) fail("{}: {} has shape {}, expected {}", op, name, t.shape().str(), shape.str());
  require(t.dtype() == other.dtype(), "{}: {} is {}, expected {}", op, name, name_of(t.dtype()),
          name_of(other.dtype()));
  if (t.device() != other.device()) {
    fail("{}: {} is on {}, expected {}", op, name, to_string(t.device()), to_string(other.device()));
  }
}

void index(std::string_view op, std::string_view name, const Tensor& t, std::int64_t n) {
  require(t.defined() && t.dtype() == DType::i32, "{}: {} is {}, expected i32", op, name,
          t.defined() ? name_of(t.dtype()) : "undefined");
  if (t.shape() != Shape{n}) fail("{}: {} has shape {}, expected [{}]", op, name, t.shape().str(), n);
}

void index_beside(std::string_view op, std::string_view name, const Tensor& t, std::int64_t n, const Tensor& other) {
  index(op, name, t, n);
  require(t.device() == Device{} || t.device() == other.device(), "{}: {} is on {}, expected cpu or {}", op, name,
          to_string(t.device()), to_string(other.device()));
}

void row_index(std::string_view op, std::string_view name, const RowIndex& index, std::int64_t n, const Tensor& other) {
  index_beside(op, name, index.entries(), n, other);
  require(index.bound() <= other.rows(), "{}: {} holds {}, expected 0 to {}", op, name, index.bound() - 1,
          other.rows() - 1);
}

void below(std::string_view op, std::string_view name, const Tensor& index, std::int64_t limit) {
  if (index.device() != Device{}) return;
  for (const std::int32_t i : index.span<std::int32_t>()) {
    require(0 <= i && i < limit, "{}: {} holds {}, expected 0 to {}", op, name, i, limit - 1);
  }
}

void offsets(std::string_view op, std::string_view name, const Tensor& t, std::int64_t n) {
  require(t.defined() && t.shape().rank() == 1 && t.numel() >= 1, "{}: {} is empty, expected offsets [s + 1]", op,
          name);
  index(op, name, t, t.numel());
  const auto values = t.span<std::int32_t>();
  require(values.front() == 0 && values.back() == n, "{}: {} runs from {} to {}, expected 0 to {}", op, name,
          values.front(), values.back(), n);
  for (std::size_t i = 1; i < values.size(); ++i) {
    require(values[i - 1] <= values[i], "{}: {} falls from {} to {}, expected rising offsets", op, name, values[i - 1],
            values[i]);
  }
}

void sampling(const ops::Sampling& sampling) {
  require(sampling.temperature >= 0.0 && std::isfinite(sampling.temperature),
          "temperature {} is not possible: expected 0 (greedy) or more", sampling.temperature);
  require(sampling.top_k >= 0, "top-k {} is not possible: expected 0 (all) or more", sampling.top_k);
  require(sampling.top_p > 0.0 && sampling.top_p <= 1.0, "top-p {} is not possible: expected more than 0 and at most 1",
          sampling.top_p);
}

}  // namespace csreft::checks
