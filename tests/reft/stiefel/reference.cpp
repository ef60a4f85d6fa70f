#include "tests/reft/stiefel/reference.h"

#include <Eigen/LU>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <string>

#include "core/base/error.h"

namespace csreft::test {
namespace {

Matrix gram_schmidt(const Matrix& Y) {
  Matrix Q = Y;
  for (Eigen::Index i = 0; i < Q.rows(); ++i) {
    for (int pass = 0; pass < 2; ++pass) {  // the second removes what the first's rounding leaves
      for (Eigen::Index j = 0; j < i; ++j) Q.row(i) -= Q.row(i).dot(Q.row(j)) * Q.row(j);
    }
    Q.row(i).normalize();
  }
  return Q;
}

Matrix polar_factor(const Matrix& Y) {
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(Y, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return svd.matrixU() * svd.matrixV().transpose();
}

// Wen and Yin 2013, eq. 7, on columns.
Matrix cayley(const Matrix& R, const Matrix& xi) {
  const Eigen::MatrixXd X = R.transpose(), I = Eigen::MatrixXd::Identity(R.cols(), R.cols());
  const Eigen::MatrixXd PU = (I - 0.5 * X * X.transpose()) * xi.transpose();
  const Eigen::MatrixXd W = PU * X.transpose() - X * PU.transpose();
  return (I - 0.5 * W).partialPivLu().solve((I + 0.5 * W) * X).transpose();
}

double corrected(double moment, double beta, int step) { return moment / (1.0 - std::pow(beta, step)); }

void move(const nlohmann::json& options, double length, ReferencePoint& p) {
  p.R = reference_retraction(options.at("retraction").get<std::string>(), p.R, -length * p.m);
  p.m = reference_gradient("euclidean", p.R, p.m);
}

void riemannian_adam(const nlohmann::json& options, double lr, const Matrix& G, ReferencePoint& p) {
  const auto metric = options.at("metric").get<std::string>();
  const double beta2 = options.at("beta2").get<double>();
  const Matrix x = reference_gradient(metric, p.R, G);
  p.m = 0.9 * p.m + 0.1 * x;
  p.v_of_point = beta2 * p.v_of_point + (1.0 - beta2) * reference_inner(metric, p.R, x, x);
  const double root = std::sqrt(corrected(p.v_of_point, beta2, p.step));
  move(options, corrected(lr, 0.9, p.step) / (root + 1e-8), p);
}

void riemannian_sgd(const nlohmann::json& options, double lr, const Matrix& G, ReferencePoint& p) {
  p.m =
      options.at("momentum").get<double>() * p.m + reference_gradient(options.at("metric").get<std::string>(), p.R, G);
  move(options, lr, p);
}

void adamw(const nlohmann::json& options, double lr, const Matrix& G, ReferencePoint& p) {
  const double beta2 = options.at("beta2").get<double>();
  p.R *= 1.0 - lr * options.at("weight_decay").get<double>();
  for (Eigen::Index i = 0; i < G.size(); ++i) {
    const double g = G.data()[i];
    double &m = p.m.data()[i], &v = p.v.data()[i];
    m = 0.9 * m + 0.1 * g;
    v = beta2 * v + (1.0 - beta2) * g * g;
    p.R.data()[i] -= lr * corrected(m, 0.9, p.step) / (std::sqrt(corrected(v, beta2, p.step)) + 1e-8);
  }
}

// The safe step by bisection of its condition: |N'| is at most 1/2.
void landing(const nlohmann::json& options, double lr, const Matrix& G, ReferencePoint& p) {
  const double lambda = options.at("landing_lambda").get<double>();
  const Matrix N = p.R * p.R.transpose() - Matrix::Identity(p.R.rows(), p.R.rows());
  const Matrix skew = 0.5 * (p.R.transpose() * G - G.transpose() * p.R);
  const Matrix F = p.R * skew + lambda * N * p.R;
  const double d = N.norm();
  const auto is_safe = [&](double s) {
    return (1.0 - 2.0 * s * lambda * (1.0 - d)) * d + s * s * F.squaredNorm() <= 0.5;
  };
  double safe = 0.0, upper = std::min(lr, 0.5 / lambda);
  if (is_safe(upper)) safe = upper;
  while (safe < upper && upper - safe > 1e-16 * upper) {
    const double middle = 0.5 * (safe + upper);
    if (middle == safe || middle == upper) break;
    (is_safe(middle) ? safe : upper) = middle;
  }
  p.R -= safe * F;
}

}  // namespace

Matrix reference_gradient(std::string_view metric, const Matrix& R, const Matrix& G) {
  if (metric == "canonical") return G - R * G.transpose() * R;
  const Matrix A = G * R.transpose();
  return G - 0.5 * (A + A.transpose()) * R;
}

double reference_inner(std::string_view metric, const Matrix& R, const Matrix& u, const Matrix& v) {
  if (metric == "euclidean") return (u * v.transpose()).trace();
  const Eigen::MatrixXd I = Eigen::MatrixXd::Identity(R.cols(), R.cols());
  return (u * (I - 0.5 * R.transpose() * R) * v.transpose()).trace();
}

Matrix reference_retraction(std::string_view retraction, const Matrix& R, const Matrix& xi) {
  if (retraction == "qr") return gram_schmidt(R + xi);
  if (retraction == "polar") return polar_factor(R + xi);
  if (retraction == "cayley") return cayley(R, xi);
  fail("the retraction {} has no reference: expected one in tests/reft/stiefel/reference.cpp", retraction);
}

void reference_step(std::string_view optimizer, const nlohmann::json& options, double lr, const Matrix& G,
                    ReferencePoint& point) {
  ++point.step;
  lr *= options.at("stiefel_lr").get<double>();
  if (optimizer == "riemannian_adam") return riemannian_adam(options, lr, G, point);
  if (optimizer == "riemannian_sgd" || optimizer == "sgd") return riemannian_sgd(options, lr, G, point);
  if (optimizer == "landing") return landing(options, lr, G, point);
  if (optimizer == "adamw") return adamw(options, lr, G, point);
  if (optimizer == "adamw+qr") {
    adamw(options, lr, G, point);
    if (point.step % options.at("orthonormalise_every").get<int>() == 0) point.R = gram_schmidt(point.R);
    return;
  }
  fail("the optimizer {} has no reference: expected one in tests/reft/stiefel/reference.cpp", optimizer);
}

}  // namespace csreft::test
