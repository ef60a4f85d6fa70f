#include "reft/interference.h"

#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/error.h"
#include "core/ops/ops.h"
#include "reft/matrix_view.h"
#include "reft/stiefel/stiefel.h"

namespace csreft {
namespace {

double entropy(std::span<const double> p) {
  double sum = 0.0;
  for (const double x : p) sum -= x > 0.0 ? x * std::log(x) : 0.0;
  return sum;
}

}  // namespace

double normalised_mutual_information(std::span<const std::vector<std::int64_t>> counts) {
  if (counts.empty()) return 0.0;
  double n = 0.0;
  for (const auto& row : counts) n += static_cast<double>(std::accumulate(row.begin(), row.end(), std::int64_t{0}));
  if (n == 0.0) return 0.0;
  std::vector<double> joint, a(counts.size(), 0.0), b(counts.front().size(), 0.0);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    for (std::size_t j = 0; j < b.size(); ++j) {
      const double p = static_cast<double>(counts[i][j]) / n;
      joint.push_back(p);
      a[i] += p;
      b[j] += p;
    }
  }
  const double ha = entropy(a), hb = entropy(b);
  if (ha == 0.0 || hb == 0.0) return 0.0;
  return std::clamp(2.0 * (ha + hb - entropy(joint)) / (ha + hb), 0.0, 1.0);  // but for rounding
}

double dead_share(std::span<const std::vector<double>> mean_gates, std::span<const std::int64_t> examples,
                  std::int64_t shared, double threshold) {
  if (mean_gates.empty()) return 0.0;
  require(mean_gates.size() == examples.size(), "gates of {} tasks with {} numbers of examples: expected as many",
          mean_gates.size(), examples.size());
  const auto n = static_cast<double>(std::accumulate(examples.begin(), examples.end(), std::int64_t{0}));
  const std::size_t k = mean_gates.front().size(), first = static_cast<std::size_t>(shared);
  require(first < k, "{} shared subspaces of {}: expected fewer", shared, k);
  std::size_t dead = 0;
  for (std::size_t i = first; i < k; ++i) {
    double open = 0.0;
    for (std::size_t t = 0; t < mean_gates.size(); ++t) open += mean_gates[t][i] * static_cast<double>(examples[t]);
    if (open < threshold * n) ++dead;
  }
  return static_cast<double>(dead) / static_cast<double>(k - first);
}

Tensor subspace_overlap(std::span<const Tensor> bases, std::int64_t k) {
  const Tensor overlap = Tensor::zeros({k, k}, DType::f64);
  for (const Tensor& base : bases) {
    const std::int64_t r = base.rows() / k;
    Tensor Q = base.to(DType::f64).to(Device{}).clone();
    orthonormalise(Q, r);
    for (std::int64_t i = 0; i < k; ++i) {
      for (std::int64_t j = 0; j < k; ++j) {
        const Tensor product = ops::matmul(Q.slice(i * r, (i + 1) * r), Q.slice(j * r, (j + 1) * r), ops::Transpose::no,
                                           ops::Transpose::yes);
        overlap.data<double>()[i * k + j] +=
            ops::squared_norm(product) / static_cast<double>(r) / static_cast<double>(bases.size());
      }
    }
  }
  return overlap;
}

std::vector<double> principal_angles(const Tensor& a, const Tensor& b) {
  require(a.cols() == b.cols(), "principal angles of rows of {} and of {} numbers: expected as many", a.cols(),
          b.cols());
  const auto basis = [](const Tensor& rows) {
    Tensor Q = rows.to(DType::f64).to(Device{}).clone();
    orthonormalise(Q, Q.rows());
    return Q;
  };
  const Tensor first = basis(a), second = basis(b);
  // The cosines are singular values of A B^T; with its left singular vectors u, the sine of an angle is the part of
  // u^T A that is outside of the other subspace.
  const Matrix A = matrix(first), B = matrix(second), product = A * B.transpose();
  const Eigen::JacobiSVD<Matrix> svd(product, Eigen::ComputeThinU);
  const Matrix along = svd.matrixU().transpose() * A;
  const Matrix outside = along - along * B.transpose() * B;
  std::vector<double> angles;
  for (Eigen::Index i = 0; i < svd.singularValues().size(); ++i) {
    angles.push_back(std::atan2(outside.row(i).norm(), svd.singularValues()[i]));
  }
  return angles;
}

double mean_overlap(const Tensor& overlap) {
  const std::int64_t k = overlap.rows();
  if (k == 1) return 0.0;
  double sum = 0.0;
  for (std::int64_t i = 0; i < k * k; ++i) sum += i % (k + 1) == 0 ? 0.0 : overlap.data<double>()[i];
  return sum / static_cast<double>(k * (k - 1));
}

}  // namespace csreft
