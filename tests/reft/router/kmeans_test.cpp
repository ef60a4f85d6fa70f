#include "reft/router/starts/kmeans.h"

#include <set>

#include <doctest/doctest.h>

#include "core/ops/ops.h"
#include "core/tensor/random.h"
#include "tests/compare.h"
#include "tests/error_text.h"

using csreft::DType;
using csreft::Tensor;

namespace {

// Three clouds of different sizes around distant centres, in order.
Tensor clouds() {
  Tensor x = csreft::random_normal({30, 4}, 0.0, 0.1, 5, 0, DType::f64);
  for (std::int64_t i = 0; i < 30; ++i) x.data<double>()[i * 4 + (i < 20 ? 0 : i < 27 ? 1 : 2)] += 10.0;
  return x;
}

}  // namespace

TEST_CASE("k-means finds clouds of different sizes, and their means") {
  const Tensor x = clouds();
  const auto result = csreft::kmeans(x, 3, 7);
  for (std::size_t i = 1; i < 30; ++i) {
    CHECK((result.assignments[i] == result.assignments[i - 1]) == (i != 20 && i != 27));
  }
  const Tensor mean = csreft::ops::scale(csreft::ops::sum_rows(x.slice(0, 20)), 1.0 / 20);
  const auto first = result.assignments[0];
  CHECK(largest_difference(result.centroids.slice(first, first + 1).view({4}), mean) < 1e-12);
  double sum = 0.0;
  for (std::int64_t i = 0; i < 30; ++i) {
    const auto c = result.assignments[static_cast<std::size_t>(i)];
    sum += csreft::ops::squared_norm(csreft::ops::sub(x.slice(i, i + 1), result.centroids.slice(c, c + 1)));
  }
  CHECK(result.squared_distance == doctest::Approx(sum));
}

TEST_CASE("the same seed gives the same clusters; few distinct points and one cluster are no trouble") {
  const Tensor x = clouds();
  const auto a = csreft::kmeans(x, 5, 1), b = csreft::kmeans(x, 5, 1);
  CHECK(largest_difference(a.centroids, b.centroids) == 0.0);
  CHECK(a.assignments == b.assignments);
  const Tensor same = Tensor::full({6, 2}, 3.0, DType::f64);
  const auto one_point = csreft::kmeans(same, 3, 1);
  CHECK(one_point.squared_distance == doctest::Approx(0.0));
  CHECK(std::set(one_point.assignments.begin(), one_point.assignments.end()).size() == 1);
  const auto whole = csreft::kmeans(x, 1, 1);
  CHECK(largest_difference(whole.centroids.view({4}), csreft::ops::scale(csreft::ops::sum_rows(x), 1.0 / 30)) < 1e-12);
  CHECK(contains(error_text([] { csreft::kmeans(Tensor::zeros({0, 2}, DType::f64), 2, 1); }), "k-means of no points"));
}
