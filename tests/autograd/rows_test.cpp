// Edits of some rows of a matrix, and matrices whose rows should be orthogonal, on the test device.
#include <doctest/doctest.h>

#include "autograd/functions/functions.h"
#include "core/tensor/random.h"
#include "tests/compare.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"

using csreft::Tensor;
using csreft::Variable;
using csreft::test::indices;

namespace {

Tensor normal(csreft::Shape shape, std::uint64_t stream = 0) {
  return on_test_device(csreft::test::normal(shape, stream));
}

}  // namespace

TEST_CASE("gates of each row are those of the examples where every row is an example of its own") {
  const Variable hidden(normal({7, 5})), A(normal({4, 5}, 1)), b(normal({4}, 2)), P(normal({4, 5}, 3));
  const Tensor alpha = normal({3, 2}, 4), example = indices({0, 0, 1, 2}), index = indices({0, 2, 3, 6});
  const Variable of_rows(csreft::ops::gather_rows(alpha, example));
  const Variable by_row = csreft::low_rank_update(hidden, {index, indices({0, 1, 2, 3})}, A, b, P, of_rows);
  const Variable by_example = csreft::low_rank_update(hidden, {index, example}, A, b, P, Variable(alpha));
  // The same products of the same numbers.
  CHECK(largest_difference(by_row.value().to(csreft::Device{}), by_example.value().to(csreft::Device{})) == 0.0);
}

TEST_CASE("rows that are named twice, and matrices that do not fit, are refused") {
  const Variable hidden(normal({4, 3})), two(normal({2, 3}, 1)), wide(normal({2, 4}, 2));
  const Tensor twice = indices({1, 1}), apart = indices({0, 3});
  CHECK_THROWS_WITH_AS(csreft::add_at_rows(hidden, twice, two), doctest::Contains("names row 1 twice"), csreft::Error);
  CHECK_THROWS_WITH_AS(csreft::replace_rows(hidden, twice, two), doctest::Contains("names row 1 twice"), csreft::Error);
  CHECK_THROWS_AS(csreft::add_at_rows(hidden, apart, wide), csreft::Error);
  CHECK_THROWS_AS(csreft::replace_rows(hidden, apart, wide), csreft::Error);
  CHECK_THROWS_AS(csreft::replace_rows(hidden, indices({4, 0}), two), csreft::Error);
  CHECK_THROWS_WITH_AS(csreft::orthogonality(two, {}), doctest::Contains("an earlier task"), csreft::Error);
}

TEST_CASE("rows are replaced, and those that are orthogonal to earlier ones cost nothing") {
  const Variable hidden(normal({4, 3})), two(normal({2, 3}, 1));
  const Tensor y = csreft::replace_rows(hidden, indices({3, 1}), two).value().to(csreft::Device{});
  const Tensor before = hidden.value().to(csreft::Device{}), values = two.value().to(csreft::Device{});
  CHECK(largest_difference(y.slice(3, 4), values.slice(0, 1)) == 0.0);
  CHECK(largest_difference(y.slice(1, 2), values.slice(1, 2)) == 0.0);
  CHECK(largest_difference(y.slice(0, 1), before.slice(0, 1)) == 0.0);
  CHECK(largest_difference(y.slice(2, 3), before.slice(2, 3)) == 0.0);

  const std::vector<double> numbers{1.0, 0.0, 0.0, 0.0, 2.0, 0.0, -3.0, 0.0, 4.0};
  const Tensor rows = on_test_device(Tensor::from(std::span<const double>(numbers), {3, 3}));
  const auto overlap = [&](std::int64_t i, std::int64_t j) {
    const std::vector<Tensor> earlier{rows.slice(j, j + 1).clone()};
    return csreft::orthogonality(Variable(rows.slice(i, i + 1).clone()), earlier).value().item();
  };
  CHECK(overlap(0, 1) == 0.0);
  CHECK(overlap(0, 2) == 3.0);
  CHECK(overlap(2, 2) == 25.0);
}
