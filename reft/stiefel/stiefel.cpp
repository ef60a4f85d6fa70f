#include "reft/stiefel/stiefel.h"

#include <cmath>

#include "core/tensor/random.h"
#include "reft/matrix_view.h"

namespace csreft {
namespace {

Tensor project_to_tangent(const Tensor& R, const Tensor& U) {
  return ops::stiefel_gradient(R, U, R.rows(), StiefelMetric::euclidean);
}

Tensor canonical_gradient(const Tensor& R, const Tensor& G) {
  return ops::stiefel_gradient(R, G, R.rows(), StiefelMetric::canonical);
}

double euclidean_inner(const Tensor& /*R*/, const Tensor& u, const Tensor& v) {
  return matrix(u).cwiseProduct(matrix(v)).sum();
}

double canonical_inner(const Tensor& R, const Tensor& u, const Tensor& v) {
  const Matrix a = matrix(u) * matrix(R).transpose();
  const Matrix b = matrix(v) * matrix(R).transpose();
  return euclidean_inner(R, u, v) - 0.5 * a.cwiseProduct(b).sum();
}

double largest_gram_error(const Tensor& R) {
  const Matrix gram = matrix(R) * matrix(R).transpose();
  return (gram - Matrix::Identity(gram.rows(), gram.cols())).cwiseAbs().maxCoeff<Eigen::PropagateNaN>();
}

}  // namespace

StiefelMetric parse_stiefel_metric(std::string_view name) {
  if (name == "euclidean") return StiefelMetric::euclidean;
  if (name == "canonical") return StiefelMetric::canonical;
  fail("unknown Stiefel metric `{}`: expected euclidean or canonical", name);
}

Manifold stiefel(StiefelMetric metric, const Retraction& retraction) {
  const bool euclidean = metric == StiefelMetric::euclidean;
  return {.gradient = euclidean ? project_to_tangent : canonical_gradient,
          .project = project_to_tangent,
          .retract = retraction.apply,
          .transport = project_to_tangent,
          .inner = euclidean ? euclidean_inner : canonical_inner,
          .error = largest_gram_error,
          .primitive =
              retraction.primitive ? std::optional(StiefelPrimitive{metric, *retraction.primitive}) : std::nullopt};
}

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
  return manifold_error(stiefel(), R, block_rows);
}

Tensor overlap(const Tensor& R, std::int64_t block_rows) {
  const std::int64_t blocks = count_blocks(R, block_rows);
  const Tensor R64 = R.to(DType::f64);
  const Matrix gram = matrix(R64) * matrix(R64).transpose();
  const Tensor norms = Tensor::empty({blocks, blocks}, DType::f64);
  for (std::int64_t i = 0; i < blocks; ++i) {
    for (std::int64_t j = 0; j < blocks; ++j) {
      matrix(norms)(i, j) = gram.block(i * block_rows, j * block_rows, block_rows, block_rows).norm();
    }
  }
  return norms;
}

}  // namespace csreft
