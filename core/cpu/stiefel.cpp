// Gradients, retractions and optimizer steps on the Stiefel manifold, a point a thread.
#include <Eigen/QR>
#include <Eigen/SVD>
#include <cmath>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

using Matrix = RowMajor<double>;

// Point i of a stack, in f64.
Matrix load(const Tensor& stack, std::int64_t i, std::int64_t r) {
  const std::int64_t d = stack.cols();
  return visit_real(stack.dtype(), "stiefel", [&]<typename T>(T) -> Matrix {
    return matrix<T>(stack.data<const T>() + i * r * d, r, d, d).template cast<double>();
  });
}

void store(const Matrix& values, std::int64_t i, const Tensor& stack) {
  const std::int64_t r = values.rows(), d = values.cols();
  visit_real(stack.dtype(), "stiefel",
             [&]<typename T>(T) { matrix(stack.data<T>() + i * r * d, r, d, d) = values.cast<T>(); });
}

// Calls f(i) for each point of a stack.
template <typename F>
void for_points(const Tensor& stack, std::int64_t block_rows, const F& f) {
  constexpr std::int64_t parallel_threshold = 1 << 12;
  const std::int64_t points = stack.rows() / block_rows, size = block_rows * stack.cols();
  for_each_piece(points, size >= parallel_threshold ? 1 : std::max<std::int64_t>(1, points),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) f(i);
                 });
}

struct Lq {
  Matrix L;  // [r, r], lower triangular, positive diagonal
  Matrix Q;  // [r, d], orthonormal rows
};

// Householder reflections on Y^T [d, r]: orthonormal for any Y, rank-deficient or not.
Lq lq(const Matrix& Y) {
  const Eigen::HouseholderQR<Eigen::MatrixXd> factors(Y.transpose());
  const Eigen::VectorXd diagonal = factors.matrixQR().diagonal();
  const Eigen::VectorXd sign = (diagonal.array() < 0).select(-1.0, Eigen::VectorXd::Ones(diagonal.size()));
  const Eigen::MatrixXd upper = factors.matrixQR().topRows(Y.rows()).triangularView<Eigen::Upper>();
  const Eigen::MatrixXd Q = factors.householderQ() * Eigen::MatrixXd::Identity(Y.cols(), Y.rows());
  return {upper.transpose() * sign.asDiagonal(), sign.asDiagonal() * Q.transpose()};
}

// By the factors of the r x r matrix L: Y = L Q = U S V^T Q, and the polar factor is U V^T Q.
Matrix polar_factor(const Matrix& Y) {
  const Lq factors = lq(Y);
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(factors.L, Eigen::ComputeFullU | Eigen::ComputeFullV);
  return svd.matrixU() * (svd.matrixV().transpose() * factors.Q);
}

// The polar factor of a Y that is orthonormal but for rounding: one Newton-Schulz step squares the error, so points
// do not drift away however many steps are taken. A Y spoilt by an ill-conditioned system takes the long way.
Matrix orthonormalised(const Matrix& Y) {
  constexpr double newton_is_exact = 1e-8;  // its square is below the rounding of a double
  const Matrix error = Matrix::Identity(Y.rows(), Y.rows()) - Y * Y.transpose();
  if (error.cwiseAbs().maxCoeff() < newton_is_exact) return Y + 0.5 * error * Y;
  return polar_factor(Y);
}

// On columns: X = R^T, W = Z^T R - R^T Z = U V^T with U = [Z^T, R^T], V = [R^T, -Z^T], and
// (I - W/2)^-1 (I + W/2) X = X + U [p; q] where (I - V^T U / 2) [p; q] = V^T X. With B = Z R^T, skew because xi is
// tangent (a normal part is dropped first), C = Z Z^T and K = I + B/2 that is K p - q/2 = I and C p / 2 + K q = -B: q =
// 2 (K p - I), and what is left, (K^2 + C/4) p = I, is r x r.
Matrix cayley(const Matrix& R, const Matrix& xi) {
  const Matrix A = xi * R.transpose();
  const Matrix S = 0.5 * (A - A.transpose());
  const Matrix Z = xi - (A - 0.5 * S) * R;
  const Matrix I = Matrix::Identity(R.rows(), R.rows());
  const Matrix K = I + 0.25 * S;  // B = S / 2
  const Matrix C = Z * Z.transpose();
  // Least squares, since a step of 1e8 or more makes the system singular to rounding.
  const Matrix p = (K * K + 0.25 * C).eval().colPivHouseholderQr().solve(I);
  const Matrix q = 2.0 * (K * p - I);
  return orthonormalised(R + p.transpose() * Z + q.transpose() * R);
}

Matrix retract(ops::StiefelRetraction retraction, const Matrix& R, const Matrix& xi) {
  switch (retraction) {
    case ops::StiefelRetraction::qr: return lq(R + xi).Q;
    case ops::StiefelRetraction::polar: return polar_factor(R + xi);
    case ops::StiefelRetraction::cayley: return cayley(R, xi);
  }
  fail("no retraction {}: expected qr, polar or cayley", static_cast<int>(retraction));
}

Matrix gradient(ops::StiefelMetric metric, const Matrix& R, const Matrix& G) {
  if (metric == ops::StiefelMetric::canonical) {
    const Matrix A = R * G.transpose();
    return G - A * R;
  }
  const Matrix A = G * R.transpose();
  return G - 0.5 * (A + A.transpose()) * R;
}

double squared_length(ops::StiefelMetric metric, const Matrix& R, const Matrix& x) {
  const double euclidean = x.squaredNorm();
  if (metric == ops::StiefelMetric::euclidean) return euclidean;
  const Matrix a = x * R.transpose();
  return euclidean - 0.5 * a.squaredNorm();
}

void step(const ops::StiefelUpdate& update, std::int64_t i) {
  const ops::StiefelFactors& f = update.factors;
  const Matrix R = load(update.R, i, update.block_rows);
  const Matrix x = gradient(f.metric, R, load(update.G, i, update.block_rows));
  const Matrix m = f.momentum * load(update.m, i, update.block_rows) + f.gradient_factor * x;
  double length = f.step_size;
  if (update.v.defined()) {
    double& v = update.v.data<double>()[i];
    v = f.beta2 * v + (1.0 - f.beta2) * squared_length(f.metric, R, x);
    length = f.step_size / (std::sqrt(v) * f.root_correction + f.eps);
  }
  const Matrix next = retract(f.retraction, R, -length * m);
  store(next, i, update.R);
  store(gradient(ops::StiefelMetric::euclidean, next, m), i, update.m);
}

}  // namespace

void stiefel_gradient(const Tensor& R, const Tensor& G, std::int64_t block_rows, ops::StiefelMetric metric,
                      const Tensor& X) {
  for_points(R, block_rows,
             [&](std::int64_t i) { store(gradient(metric, load(R, i, block_rows), load(G, i, block_rows)), i, X); });
}

void stiefel_retract(const Tensor& R, const Tensor& xi, std::int64_t block_rows, ops::StiefelRetraction retraction,
                     const Tensor& Y) {
  for_points(R, block_rows, [&](std::int64_t i) {
    store(retract(retraction, load(R, i, block_rows), load(xi, i, block_rows)), i, Y);
  });
}

void stiefel_step(std::span<const ops::StiefelUpdate> updates) {
  for (const ops::StiefelUpdate& update : updates) {
    for_points(update.R, update.block_rows, [&](std::int64_t i) { step(update, i); });
  }
}

}  // namespace csreft::cpu
