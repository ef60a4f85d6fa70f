// The router starts as the nearest-centroid rule of k clusters of the training prompts: no labels, and a partition from
// the first step on. Clusters are sought among the prompts' first 2 k principal components, whitened: z = P (x - m).
// In the input itself a few directions of large variance decide who is near to whom, and they need not be those that
// tell skills apart. Each score is still a linear function of x,
//   s_i = (c_i . z - |c_i|^2 / 2) / tau  =  (|z|^2 - |z - c_i|^2) / (2 tau),
// which the network computes with one unit a cluster, relu(v_i . x / u + B) - B with v_i = P^T c_i, exactly wherever B
// is large enough, as it is on all the prompts that were read. The other units keep their random first weights, and
// start without influence.
#include <algorithm>
#include <cmath>

#include "reft/kmeans.h"
#include "reft/principal_components.h"
#include "reft/router_starts/entries.h"

namespace csreft {
namespace {

// tau is such that the best score leads the second by this much in the mean: sure, and still free to change its mind.
constexpr double mean_lead = 4.0;
// Found on mixtures of three to six tasks: with fewer some tasks fall together, with many more noise decides.
constexpr std::int64_t components_a_cluster = 2;

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

void start_from_clusters(std::span<const Parameter> parameters, const Tensor& inputs, std::uint64_t seed) {
  const Tensor V1 = parameters[0].value.value(), V2 = parameters[2].value.value(), c2 = parameters[3].value.value();
  const std::int64_t k = V2.rows(), hidden = V1.rows();
  if (k == 1) return;
  const Tensor x = inputs.to(DType::f64).to(Device{});
  const auto [components, mean] = principal_components(x, components_a_cluster * k, seed);
  ops::copy_(V2, Tensor::zeros(V2.shape(), V2.options()));
  if (components.rows() == 0) return;  // all prompts look alike: so do their gates
  const Tensor z =
      ops::matmul(ops::add_row(x, ops::scale(mean, -1.0)), components, ops::Transpose::no, ops::Transpose::yes);
  const Tensor centroids = kmeans(z, k, seed).centroids;

  const Tensor directions = ops::matmul(centroids, components);  // v [k, d]
  const Tensor products = ops::matmul(x, directions, ops::Transpose::no, ops::Transpose::yes);
  const Tensor at_mean = ops::matmul(mean.view({1, mean.numel()}), directions, ops::Transpose::no, ops::Transpose::yes);
  const Tensor offsets_of_scores = Tensor::zeros({k}, DType::f64);  // -c_i . P m - |c_i|^2 / 2
  for (std::int64_t i = 0; i < k; ++i) {
    offsets_of_scores.data<double>()[i] =
        -at_mean.data<double>()[i] - 0.5 * ops::squared_norm(centroids.slice(i, i + 1));
  }
  const double tau = nonzero(mean_of_leads(ops::add_row(products, offsets_of_scores)) / mean_lead);
  const double unit = nonzero(root_mean_square(products));  // so that hidden units are of order one
  const double offset = std::max(0.0, -*std::ranges::min_element(products.span<double>()) / unit);

  const Tensor first = V1.to(DType::f64).to(Device{}).clone(), second = Tensor::zeros({k, hidden}, DType::f64);
  const Tensor c1 = parameters[1].value.value(), offsets = Tensor::zeros({hidden}, DType::f64);
  for (std::int64_t i = 0; i < k; ++i) {
    ops::copy_(first.slice(i, i + 1), ops::scale(directions.slice(i, i + 1), 1.0 / unit));
    offsets.data<double>()[i] = offset;
    second.data<double>()[i * hidden + i] = unit / tau;
  }
  ops::copy_(V1, first.to(V1.dtype()));
  ops::copy_(c1, offsets.to(c1.dtype()));
  ops::copy_(V2, second.to(V2.dtype()));
  const Tensor lowered = Tensor::full({k}, -offset * unit, DType::f64);
  ops::copy_(c2, ops::scale(ops::add(offsets_of_scores, lowered), 1.0 / tau).to(c2.dtype()));
}

}  // namespace

const RouterStart clusters_start{
    .name = "clusters",
    .summary = "the nearest-centroid rule of k clusters of the training prompts (k-means, no labels)",
    .reads_prompts = true,
    .set = start_from_clusters,
};

}  // namespace csreft
