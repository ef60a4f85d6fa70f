#include "reft/retractions.h"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <array>

#include "reft/matrix_view.h"
#include "reft/table.h"

namespace csreft {
namespace {

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

constexpr Retraction qr{"qr", "Q of R + xi = L Q, positive diagonal", retract_qr};
constexpr Retraction polar{"polar", "the orthonormal matrix nearest to R + xi", retract_polar};
constexpr Retraction cayley{"cayley", "Cayley transform, one r x r system", retract_cayley};

constexpr std::array table{&qr, &polar, &cayley};

}  // namespace

Tensor retract_qr(const Tensor& R, const Tensor& xi) { return tensor(lq(matrix(R) + matrix(xi)).Q); }

Tensor retract_polar(const Tensor& R, const Tensor& xi) { return tensor(polar_factor(matrix(R) + matrix(xi))); }

// On columns: X = R^T, W = Z^T R - R^T Z = U V^T with U = [Z^T, R^T], V = [R^T, -Z^T], and
// (I - W/2)^-1 (I + W/2) X = X + U [p; q] where (I - V^T U / 2) [p; q] = V^T X. With B = Z R^T, skew because xi is
// tangent (a normal part is dropped first), C = Z Z^T and K = I + B/2 that is K p - q/2 = I and C p / 2 + K q = -B: q =
// 2 (K p - I), and what is left, (K^2 + C/4) p = I, is r x r.
Tensor retract_cayley(const Tensor& R, const Tensor& xi) {
  const auto R_ = matrix(R);
  const Matrix A = matrix(xi) * R_.transpose();
  const Matrix S = 0.5 * (A - A.transpose());
  const Matrix Z = matrix(xi) - (A - 0.5 * S) * R_;
  const Matrix I = Matrix::Identity(R_.rows(), R_.rows());
  const Matrix K = I + 0.25 * S;  // B = S / 2
  const Matrix C = Z * Z.transpose();
  // Least squares, since a step of 1e8 or more makes the system singular to rounding.
  const Matrix p = (K * K + 0.25 * C).eval().colPivHouseholderQr().solve(I);
  const Matrix q = 2.0 * (K * p - I);
  return tensor(orthonormalised(R_ + p.transpose() * Z + q.transpose() * R_));
}

std::span<const Retraction* const> retractions() { return table; }

const Retraction& find_retraction(std::string_view name) { return find_named(retractions(), "retraction", name); }

}  // namespace csreft
