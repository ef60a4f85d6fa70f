#include "reft/router/starts/clustering.h"

#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "core/tensor/random.h"
#include "tests/compare.h"
#include "tests/error_text.h"

using csreft::Clusters;
using csreft::DType;
using csreft::Tensor;
namespace ops = csreft::ops;

namespace {

constexpr std::int64_t dimensions = 40;

// Clouds of deviation 1 around random centres, of the sizes given, in order; with one direction in which all of them
// spread far more than the centres lie apart.
Tensor clouds(const std::vector<std::int64_t>& sizes, std::uint64_t seed) {
  std::int64_t n = 0;
  for (const auto size : sizes) n += size;
  const Tensor x = csreft::random_normal({n, dimensions}, 0.0, 1.0, seed, 0, DType::f64);
  const Tensor centres =
      csreft::random_normal({static_cast<std::int64_t>(sizes.size()), dimensions}, 0.0, 2.0, seed, 1, DType::f64);
  std::int64_t row = 0;
  for (std::size_t g = 0; g < sizes.size(); ++g) {
    for (std::int64_t i = 0; i < sizes[g]; ++i, ++row) {
      const auto centre = static_cast<std::int64_t>(g);
      x.data<double>()[row * dimensions] *= 100.0;
      ops::add_(x.slice(row, row + 1), centres.slice(centre, centre + 1));
    }
  }
  return x;
}

// The nearest centroid of each point.
std::vector<std::int64_t> nearest(const Clusters& clusters, const Tensor& x) {
  const Tensor z = ops::matmul(ops::add_row(x, ops::scale(clusters.mean, -1.0)), clusters.components,
                               ops::Transpose::no, ops::Transpose::yes);
  std::vector<std::int64_t> out;
  for (std::int64_t e = 0; e < z.rows(); ++e) {
    std::int64_t best = 0;
    double least = 0.0;
    for (std::int64_t i = 0; i < clusters.centroids.rows(); ++i) {
      const double d = ops::squared_norm(ops::sub(z.slice(e, e + 1), clusters.centroids.slice(i, i + 1)));
      if (i == 0 || d < least) best = i, least = d;
    }
    out.push_back(best);
  }
  return out;
}

}  // namespace

TEST_CASE("as many clusters are found as there are, up to the most that may be, and each is one group") {
  const std::vector<std::vector<std::int64_t>> cases{{150, 150}, {150, 100, 50}, {60, 60, 60, 60, 60, 60}};
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    for (const auto& sizes : cases) {
      const Tensor x = clouds(sizes, seed);
      const Clusters found = csreft::find_clusters(x, 8, seed);
      REQUIRE(found.centroids.rows() == static_cast<std::int64_t>(sizes.size()));
      const auto group = nearest(found, x);
      std::size_t row = 0;
      std::set<std::int64_t> used;
      for (const auto size : sizes) {
        for (std::int64_t i = 0; i < size; ++i) CHECK(group[row + static_cast<std::size_t>(i)] == group[row]);
        used.insert(group[row]);
        row += static_cast<std::size_t>(size);
      }
      CHECK(used.size() == sizes.size());
    }
    CHECK(csreft::find_clusters(clouds(cases[2], seed), 3, seed).centroids.rows() == 3);
  }
}

TEST_CASE("the same seed gives the same clusters; points that are equal have none") {
  const Tensor x = clouds({30, 30, 30}, 1);
  const Clusters a = csreft::find_clusters(x, 5, 2), b = csreft::find_clusters(x, 5, 2);
  CHECK(largest_difference(a.centroids, b.centroids) == 0.0);
  CHECK(csreft::find_clusters(Tensor::full({4, 3}, 2.0, DType::f64), 5, 1).centroids.rows() == 0);
  CHECK(contains(error_text([&] { csreft::find_clusters(x, 1, 1); }), "expected 2 or more"));
  // Three points, many times each: no more clusters than that.
  const Tensor few = Tensor::zeros({30, 4}, DType::f64);
  for (std::int64_t e = 0; e < 30; ++e) few.data<double>()[e * 4 + e % 3] = 1.0;
  CHECK(csreft::find_clusters(few, 6, 1).centroids.rows() == 3);
}
