#include "core/ops/row_index.h"

#include <limits>

#include <doctest/doctest.h>

#include "tests/core/ops/numbers.h"
#include "tests/device.h"
#include "tests/error_text.h"

namespace ops = csreft::ops;

using csreft::RowIndex;
using csreft::Tensor;
using csreft::test::indices;

TEST_CASE("a row index knows how many rows it needs and whether one is named twice") {
  const RowIndex index(indices({4, 0, 2}));
  CHECK(index.size() == 3);
  CHECK(index.bound() == 5);
  CHECK(index.distinct());
  const RowIndex repeating(indices({3, 1, 3}));
  CHECK_FALSE(repeating.distinct());
  CHECK(repeating.repeated() == 3);
  CHECK(RowIndex(indices({})).bound() == 0);
  CHECK(RowIndex(indices({})).distinct());
  CHECK_FALSE(RowIndex().defined());
  CHECK(RowIndex(indices({std::numeric_limits<std::int32_t>::max()})).bound() == std::int64_t{1} << 31U);
}

TEST_CASE("what is no list of rows is no row index") {
  CHECK(error_text([] { return RowIndex(Tensor()), 0; }) == "row index: undefined, expected i32");
  CHECK(error_text([] { return RowIndex(Tensor::zeros({2})), 0; }) == "row index: f32, expected i32");
  CHECK(error_text([] {
          return RowIndex(indices({1, 2}).view({1, 2})), 0;
        }) == "row index: shape [1, 2], expected [m]");
  CHECK(error_text([] { return RowIndex(indices({2, -1})), 0; }) == "row index: holds -1, expected 0 or more");
}

TEST_CASE("an operation says which row it does not have, and which is named twice") {
  const Tensor x = Tensor::zeros({3, 2}), rows = Tensor::zeros({2, 2});
  const RowIndex beyond(indices({0, 3})), twice(indices({1, 1}));
  CHECK(error_text([&] { return ops::gather_rows(x, beyond); }) == "gather_rows: index holds 3, expected 0 to 2");
  CHECK(error_text([&] { return ops::add_rows(x, beyond, rows); }) == "add_rows: index holds 3, expected 0 to 2");
  CHECK(error_text([&] { return ops::add_rows(x, twice, rows); }) ==
        "add_rows: index names row 1 twice, expected each row once");
  CHECK(ops::gather_rows(x, twice).rows() == 2);
}

TEST_CASE("entries on a device are taken as they are") {
  if (test_device() == csreft::Device{}) return;
  const RowIndex there(indices({1, 1}).to(test_device()));
  CHECK(there.bound() == 0);
  CHECK(there.distinct());
  CHECK(there.size() == 2);
}
