#include "reft/stiefel/stiefel.h"

#include "core/ops/ops.h"
#include "core/tensor/random.h"
#include "reft/matrix_view.h"

namespace csreft {

void check_stiefel_stack(const Tensor& R, std::int64_t block_rows, std::string_view what) {
  require(R.defined(), "{} has no elements", what);
  require(R.shape().rank() == 2 && (R.dtype() == DType::f32 || R.dtype() == DType::f64),
          "{} has shape {} and type {}: expected a matrix of f32 or f64", what, R.shape().str(), name_of(R.dtype()));
  require(block_rows > 0 && R.rows() % block_rows == 0, "{} has {} rows: expected a multiple of {}", what, R.rows(),
          block_rows);
  require(block_rows <= R.cols(), "{} has blocks of {} rows of length {}, which cannot be orthonormal", what,
          block_rows, R.cols());
}

Tensor random_stiefel(std::int64_t rows, std::int64_t d, std::int64_t block_rows, std::uint64_t seed,
                      std::uint64_t stream, const TensorOptions& tensors) {
  Tensor R = random_normal({rows, d}, 0.0, 1.0, seed, stream, DType::f64);
  orthonormalise(R, block_rows);
  return R.to(tensors);
}

void orthonormalise(Tensor& R, std::int64_t block_rows) {
  check_stiefel_stack(R, block_rows, "a matrix to orthonormalise");
  ops::copy_(R, ops::stiefel_retract(R, Tensor::zeros(R.shape(), R.options()), block_rows, ops::StiefelRetraction::qr));
}

double orthonormality_error(const Tensor& R, std::int64_t block_rows) {
  check_stiefel_stack(R, block_rows, "a matrix that should be orthonormal");
  const Tensor R64 = R.to(Device{}).to(DType::f64);
  double largest = 0;
  for (std::int64_t row = 0; row < R.rows(); row += block_rows) {
    const auto block = matrix(R64).middleRows(row, block_rows);
    const Matrix difference = block * block.transpose() - Matrix::Identity(block_rows, block_rows);
    const double error = difference.cwiseAbs().maxCoeff<Eigen::PropagateNaN>();
    if (!(error <= largest)) largest = error;  // NaN too
  }
  return largest;
}

}  // namespace csreft
