#include "reft/interference.h"

#include <cmath>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "core/ops/ops.h"
#include "reft/stiefel/stiefel.h"
#include "tests/compare.h"

using csreft::DType;
using csreft::Tensor;

namespace {

using Counts = std::vector<std::vector<std::int64_t>>;

double nmi(const Counts& counts) { return csreft::normalised_mutual_information(counts); }

}  // namespace

TEST_CASE("normalised mutual information is 1 for a relabelling, 0 for independence, and by hand between") {
  CHECK(nmi({{0, 5}, {3, 0}}) == doctest::Approx(1.0));
  CHECK(nmi({{2, 2}, {3, 3}}) == doctest::Approx(0.0));
  // One label that never changes tells nothing.
  CHECK(nmi({{4, 0}, {4, 0}}) == 0.0);
  CHECK(nmi({}) == 0.0);
  CHECK(nmi({{0, 0}}) == 0.0);
  // Three of four equal tasks in one subspace each would be 1; two that share one: I = H(subspace).
  const double h = -(0.5 * std::log(0.5) + 2 * 0.25 * std::log(0.25));
  CHECK(nmi({{1, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}}) == doctest::Approx(2 * h / (h + std::log(4.0))));
}

TEST_CASE("a subspace is dead if its mean gate over all examples is under a hundredth") {
  const std::vector<std::vector<double>> gates{{1.0, 0.0, 0.0}, {0.5, 0.5, 0.0}};
  const std::vector<std::int64_t> even{10, 10}, uneven{990, 10};
  CHECK(csreft::dead_share(gates, even) == doctest::Approx(1.0 / 3.0));
  CHECK(csreft::dead_share(gates, uneven) == doctest::Approx(2.0 / 3.0));
  CHECK(csreft::dead_share({}, {}) == 0.0);
  // Of those that are not shared.
  CHECK(csreft::dead_share(gates, even, 1) == doctest::Approx(1.0 / 2.0));
  CHECK(csreft::dead_share(gates, uneven, 1) == doctest::Approx(1.0));
  CHECK_THROWS_AS(csreft::dead_share(gates, even, 3), csreft::Error);
}

TEST_CASE("overlap is 1 for a subspace in itself, 0 for orthogonal ones, whatever the basis") {
  // One orthonormal 6 x 8, taken as three blocks of 2: none overlaps.
  const Tensor joint = csreft::random_stiefel(6, 8, 6, 3, 0, DType::f64);
  const std::vector<Tensor> bases{joint};
  const Tensor apart = csreft::subspace_overlap(bases, 3);
  for (std::int64_t i = 0; i < 9; ++i) CHECK(apart.data<double>()[i] == doctest::Approx(i % 4 == 0 ? 1.0 : 0.0));
  CHECK(csreft::mean_overlap(apart) == doctest::Approx(0.0));

  // Twice the same subspace, the second time in a turned basis.
  Tensor twice = Tensor::zeros({4, 8}, DType::f64);
  csreft::ops::copy_(twice.slice(0, 2), joint.slice(0, 2));
  const double c = std::cos(0.3), s = std::sin(0.3);
  csreft::ops::axpy_(twice.slice(2, 3), c, joint.slice(0, 1));
  csreft::ops::axpy_(twice.slice(2, 3), s, joint.slice(1, 2));
  csreft::ops::axpy_(twice.slice(3, 4), -s, joint.slice(0, 1));
  csreft::ops::axpy_(twice.slice(3, 4), c, joint.slice(1, 2));
  const std::vector<Tensor> same{twice};
  CHECK(csreft::mean_overlap(csreft::subspace_overlap(same, 2)) == doctest::Approx(1.0));
  // Rows that are neither orthogonal nor of length one span the same.
  const Tensor skewed = csreft::ops::scale(twice, 3.0);
  csreft::ops::axpy_(skewed.slice(1, 2), 0.7, skewed.slice(0, 1));
  const Tensor spanned = csreft::subspace_overlap(std::vector<Tensor>{skewed}, 2);
  for (std::int64_t i = 0; i < 4; ++i) CHECK(spanned.data<double>()[i] == doctest::Approx(1.0));
  // In the mean over two places.
  const std::vector<Tensor> two{twice, joint.slice(0, 4).clone()};
  CHECK(csreft::mean_overlap(csreft::subspace_overlap(two, 2)) == doctest::Approx(0.5));
  CHECK(csreft::mean_overlap(csreft::subspace_overlap(two, 1)) == 0.0);
}

TEST_CASE("principal angles are those that the rows were turned by, however small") {
  constexpr double turn = 1e-9, half = 0.5;
  const auto rows = [](const std::vector<double>& values, std::int64_t n) {
    return Tensor::from(std::span<const double>(values), {n, static_cast<std::int64_t>(values.size()) / n});
  };
  // The first two axes of R^5, against the same turned towards the third and the fourth.
  const Tensor a = rows({2, 0, 0, 0, 0, 1, 3, 0, 0, 0}, 2);
  const Tensor b = rows({std::cos(turn), 0, std::sin(turn), 0, 0, 0, std::cos(half), 0, std::sin(half), 0}, 2);
  const auto angles = csreft::principal_angles(a, b);
  REQUIRE(angles.size() == 2);
  // Sines keep the digits that an inverse cosine of 1 - 5e-19 would lose.
  CHECK(angles[0] == doctest::Approx(turn).epsilon(1e-6));
  CHECK(angles[1] == doctest::Approx(half).epsilon(1e-12));
  const auto right = csreft::principal_angles(a, rows({0, 0, 0, 0, 7}, 1));
  REQUIRE(right.size() == 1);
  CHECK(right[0] == doctest::Approx(std::acos(0.0)).epsilon(1e-12));
  CHECK(csreft::principal_angles(a, a)[1] < 1e-12);
  CHECK_THROWS_AS(csreft::principal_angles(a, Tensor::zeros({1, 4}, DType::f64)), csreft::Error);
}
