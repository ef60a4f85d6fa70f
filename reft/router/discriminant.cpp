#include "reft/router/discriminant.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "core/ops/ops.h"
#include "reft/matrix_view.h"

namespace csreft {
namespace {

enum Buffer : std::size_t { weight, bias, mean, scatter, examples };

// Less than any score of a class that is learnt, in f32 too.
constexpr double score_of_unknown = -1e30;
// Components whose deviation is less than this share of the largest do not vary but for rounding.
constexpr double least_deviation = 1e-7;

Tensor on_host(const Tensor& x) { return x.to(DType::f64).to(Device{}); }

void keep(const Tensor& buffer, const Tensor& value) { ops::copy_(buffer, value.to(buffer.dtype())); }

}  // namespace

Discriminant::Discriminant(std::int64_t classes, std::int64_t d, const TensorOptions& tensors)
    : buffers_{{"discriminant.weight", Tensor::zeros({classes, d}, tensors)},
               {"discriminant.bias", Tensor::full({classes}, score_of_unknown, tensors)},
               {"discriminant.mean", Tensor::zeros({classes, d}, tensors)},
               {"discriminant.scatter", Tensor::zeros({d, d}, tensors)},
               {"discriminant.examples", Tensor::zeros({classes}, tensors)}} {}

void Discriminant::learn(std::int64_t c, const Tensor& x, double shrinkage) {
  const Tensor inputs = on_host(x), counts = on_host(buffer(examples)).clone();
  require(inputs.rows() > 0, "class {} has no examples to learn from", c);
  require(counts.data<double>()[c] == 0.0, "class {} is learnt already", c);
  counts.data<double>()[c] = static_cast<double>(inputs.rows());
  const Eigen::RowVectorXd mu = matrix(inputs).colwise().mean();
  const Matrix centred = matrix(inputs).rowwise() - mu;
  Matrix sum = matrix(on_host(buffer(scatter)));
  sum.noalias() += centred.transpose() * centred;
  keep(buffer(scatter), tensor(sum));
  keep(buffer(mean).slice(c, c + 1), tensor(mu));
  keep(buffer(examples), counts);
  make_rule(shrinkage);
}

// In standardised components, z = (x - m) / s: the scores differ from those above by what all classes have in common.
void Discriminant::make_rule(double shrinkage) {
  const Tensor counts = on_host(buffer(examples)), means = on_host(buffer(mean)), sum = on_host(buffer(scatter));
  std::vector<std::int64_t> learnt;
  double n = 0.0;
  for (std::int64_t c = 0; c < counts.numel(); ++c) {
    if (counts.data<double>()[c] == 0.0) continue;
    learnt.push_back(c);
    n += counts.data<double>()[c];
  }
  const auto classes = static_cast<double>(learnt.size());
  const Matrix covariance = matrix(sum) / std::max(n - classes, 1.0);
  Eigen::RowVectorXd s = covariance.diagonal().cwiseMax(0.0).cwiseSqrt().transpose();
  const double least = s.maxCoeff() > 0.0 ? least_deviation * s.maxCoeff() : 1.0;
  s = s.cwiseMax(least);
  Matrix shrunk = s.cwiseInverse().asDiagonal() * covariance * s.cwiseInverse().asDiagonal();
  shrunk.diagonal().array() += shrinkage;
  const Eigen::LLT<Matrix> factors(shrunk);
  require(factors.info() == Eigen::Success, "the scatter of the prompts is not that of any numbers");

  Eigen::RowVectorXd centre = Eigen::RowVectorXd::Zero(means.cols());
  for (const auto c : learnt) centre += matrix(means).row(c) / classes;
  Matrix weights = Matrix::Zero(means.rows(), means.cols());
  const Tensor biases = Tensor::full({means.rows()}, score_of_unknown, DType::f64);
  for (const auto c : learnt) {
    const Eigen::RowVectorXd offset = matrix(means).row(c) - centre;
    const Eigen::VectorXd z = offset.cwiseQuotient(s).transpose();
    weights.row(c) = factors.solve(z).transpose().cwiseQuotient(s);
    biases.data<double>()[c] = -weights.row(c).dot(centre) - weights.row(c).dot(offset) / 2.0;
  }
  keep(buffer(weight), tensor(weights));
  keep(buffer(bias), biases);
}

Tensor Discriminant::scores(const Tensor& x) const {
  const Tensor products = ops::matmul(x, buffer(weight), ops::Transpose::no, ops::Transpose::yes);
  return ops::add_row(products, buffer(bias));
}

}  // namespace csreft
