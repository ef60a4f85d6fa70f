// The router starts as the nearest-centroid rule of the clusters of the training prompts (clustering.h): no labels, and
// a partition from the first step on. Clusters are sought among the prompts' first principal components, whitened:
// z = P (x - m). In the input itself a few directions of large variance decide who is near to whom, and they need not
// be those that tell skills apart. Each score is still a linear function of x,
//   s_i = (c_i . z - |c_i|^2 / 2) / tau  =  (|z|^2 - |z - c_i|^2) / (2 tau),
// which the network computes with one unit a cluster, relu(v_i . x / u + B) - B with v_i = P^T c_i, exactly wherever B
// is large enough, as it is on all the prompts that were read. The other units keep their random first weights, and
// start without influence. Where there are fewer clusters than subspaces, no prompt starts in the subspaces left over.
// Prompts that all look alike have no clusters: each subspace then has the same score.
#include <algorithm>
#include <cmath>
#include <limits>

#include "reft/router/router.h"
#include "reft/router/starts/clustering.h"

namespace csreft {
namespace {

// tau is such that the best score leads the second by this much in the mean: sure, and still free to change its mind.
constexpr double mean_lead = 4.0;
// How far the score of a subspace without a cluster lies below every prompt's best.
constexpr double left_over_lead = 10.0 * mean_lead;

// The mean over the rows of (largest - second largest).
double mean_of_leads(const Tensor& scores) {
  double sum = 0.0;
  for (std::int64_t e = 0; e < scores.rows(); ++e) {
    const auto row = scores.slice(e, e + 1).clone();
    const auto values = row.span<double>();
    std::ranges::partial_sort(values, values.begin() + 2, std::greater{});
    sum += values[0] - values[1];
  }
  return sum / static_cast<double>(scores.rows());
}

double root_mean_square(const Tensor& x) { return std::sqrt(ops::squared_norm(x) / static_cast<double>(x.numel())); }

// Values that are zero where there is nothing to tell apart become one, so that they can divide.
double nonzero(double x) { return x > 1e-12 ? x : 1.0; }

// The largest score of the row that has the smallest.
double smallest_best(const Tensor& scores) {
  double smallest = std::numeric_limits<double>::infinity();
  for (std::int64_t e = 0; e < scores.rows(); ++e) {
    smallest = std::min(smallest, std::ranges::max(scores.slice(e, e + 1).span<double>()));
  }
  return smallest;
}

std::int64_t start_from_clusters(std::span<const Parameter> parameters, const Tensor& inputs, std::uint64_t seed) {
  const Tensor V1 = parameters[0].value.value(), V2 = parameters[2].value.value(), c2 = parameters[3].value.value();
  const std::int64_t k = V2.rows(), hidden = V1.rows();
  if (k == 1) return 1;
  const Tensor x = inputs.to(DType::f64).to(Device{});
  const auto [centroids, components, mean] = find_clusters(x, k, seed);
  ops::copy_(V2, Tensor::zeros(V2.shape(), V2.options()));
  const std::int64_t m = centroids.rows();
  if (m == 0) return 0;

  const Tensor directions = ops::matmul(centroids, components);  // v [m, d]
  const Tensor products = ops::matmul(x, directions, ops::Transpose::no, ops::Transpose::yes);
  const Tensor at_mean = ops::matmul(mean.view({1, mean.numel()}), directions, ops::Transpose::no, ops::Transpose::yes);
  const Tensor offsets_of_scores = Tensor::zeros({m}, DType::f64);  // -c_i . P m - |c_i|^2 / 2
  for (std::int64_t i = 0; i < m; ++i) {
    offsets_of_scores.data<double>()[i] =
        -at_mean.data<double>()[i] - 0.5 * ops::squared_norm(centroids.slice(i, i + 1));
  }
  const Tensor scores = ops::add_row(products, offsets_of_scores);
  const double tau = nonzero(mean_of_leads(scores) / mean_lead);
  const double unit = nonzero(root_mean_square(products));  // so that hidden units are of order one
  const double offset = std::max(0.0, -*std::ranges::min_element(products.span<double>()) / unit);

  const Tensor first = V1.to(DType::f64).to(Device{}).clone(), second = Tensor::zeros({k, hidden}, DType::f64);
  const Tensor c1 = parameters[1].value.value(), offsets = Tensor::zeros({hidden}, DType::f64);
  const Tensor biases = Tensor::full({k}, smallest_best(scores) / tau - left_over_lead, DType::f64);
  for (std::int64_t i = 0; i < m; ++i) {
    ops::copy_(first.slice(i, i + 1), ops::scale(directions.slice(i, i + 1), 1.0 / unit));
    offsets.data<double>()[i] = offset;
    second.data<double>()[i * hidden + i] = unit / tau;
    biases.data<double>()[i] = (offsets_of_scores.data<double>()[i] - offset * unit) / tau;
  }
  ops::copy_(V1, first.to(V1.dtype()));
  ops::copy_(c1, offsets.to(c1.dtype()));
  ops::copy_(V2, second.to(V2.dtype()));
  ops::copy_(c2, biases.to(c2.dtype()));
  return m;
}

}  // namespace

extern const RouterStart clusters_start;
const RouterStart clusters_start{
    .name = "clusters",
    .summary = "the nearest-centroid rule of 2 to k clusters of the training prompts, as many as there are (no labels)",
    .reads_prompts = true,
    .set = start_from_clusters,
};

}  // namespace csreft
