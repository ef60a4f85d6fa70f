#include "reft/stiefel/manifold.h"

#include <algorithm>

namespace csreft {
namespace {

// operation(block of R, block of X) for every block.
Tensor map_blocks(Tensor (*operation)(const Tensor&, const Tensor&), const Tensor& R, const Tensor& X,
                  std::int64_t block_rows) {
  require(X.defined() && X.shape() == R.shape() && X.dtype() == R.dtype(),
          "a vector of shape {} and type {} does not fit a point of shape {} and type {}", X.shape().str(),
          name_of(X.dtype()), R.shape().str(), name_of(R.dtype()));
  const std::int64_t blocks = count_blocks(R, block_rows);
  const Tensor result = Tensor::empty(R.shape(), R.dtype());
  for_each_block(blocks, block_rows * R.cols(), [&](std::int64_t i) {
    assign_block(result, i, block_rows, operation(block_of(R, i, block_rows), block_of(X, i, block_rows)));
  });
  return result;
}

}  // namespace

std::int64_t count_blocks(const Tensor& stack, std::int64_t block_rows) {
  require(stack.dtype() == DType::f32 || stack.dtype() == DType::f64,
          "a point on a manifold has type {}: expected f32 or f64", name_of(stack.dtype()));
  const std::int64_t rows = stack.rows();
  require(block_rows > 0 && rows % block_rows == 0, "a stack of {} rows does not divide into blocks of {} rows", rows,
          block_rows);
  return rows / block_rows;
}

Tensor riemannian_gradient(const Manifold& manifold, const Tensor& R, const Tensor& G, std::int64_t block_rows) {
  return map_blocks(manifold.gradient, R, G, block_rows);
}

Tensor project(const Manifold& manifold, const Tensor& R, const Tensor& U, std::int64_t block_rows) {
  return map_blocks(manifold.project, R, U, block_rows);
}

Tensor retract(const Manifold& manifold, const Tensor& R, const Tensor& xi, std::int64_t block_rows) {
  return map_blocks(manifold.retract, R, xi, block_rows);
}

double manifold_error(const Manifold& manifold, const Tensor& R, std::int64_t block_rows) {
  const std::int64_t blocks = count_blocks(R, block_rows);
  double largest = 0;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const double error = manifold.error(block_of(R, i, block_rows));
    if (!(error <= largest)) largest = error;  // NaN too
  }
  return largest;
}

Tensor block_of(const Tensor& stack, std::int64_t block, std::int64_t block_rows) {
  return stack.slice(block * block_rows, (block + 1) * block_rows).to(DType::f64);
}

void assign_block(const Tensor& stack, std::int64_t block, std::int64_t block_rows, const Tensor& values) {
  visit_real(stack.dtype(), "assign_block", [&]<typename T>(T) {
    const auto target = stack.slice(block * block_rows, (block + 1) * block_rows).span<T>();
    std::ranges::transform(values.span<double>(), target.begin(), [](double x) { return static_cast<T>(x); });
  });
}

}  // namespace csreft
