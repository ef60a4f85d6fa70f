#include "core/tensor/tensor.h"

#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "tests/core/ops/numbers.h"

using csreft::bfloat16;
using csreft::DType;
using csreft::Error;
using csreft::Shape;
using csreft::Tensor;
using csreft::test::indices;
using csreft::test::values;

TEST_CASE("a copy of a tensor is a handle on the same elements; a clone is not") {
  const Tensor a = values({1, 2, 3}, {3});
  const Tensor b = a;  // NOLINT(performance-unnecessary-copy-initialization): the copy is what is tested
  const Tensor c = a.clone();
  CHECK(c.unique());
  CHECK_FALSE(a.unique());
  b.data<double>()[0] = 9;
  CHECK(a.data<double>()[0] == 9);
  CHECK(c.data<double>()[0] == 1);
  CHECK(a.shares_storage_with(b));
  CHECK_FALSE(a.shares_storage_with(c));
}

TEST_CASE("a slice is a view of rows of the first axis") {
  const Tensor a = values({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {3, 2, 2});
  const Tensor last = a.slice(1, 3);
  CHECK(last.shape() == Shape{2, 2, 2});
  CHECK(last.data<double>()[0] == 4);
  last.data<double>()[0] = -1;
  CHECK(a.data<double>()[4] == -1);
  CHECK(a.slice(3, 3).numel() == 0);
  CHECK_THROWS_AS(a.slice(2, 4), Error);
  CHECK_THROWS_AS(a.slice(2, 1), Error);
  CHECK_THROWS_AS(a.slice(-1, 1), Error);
  CHECK_THROWS_AS(Tensor::zeros({}).slice(0, 0), Error);
}

TEST_CASE("a view keeps the elements and their number") {
  const Tensor a = values({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(a.view({3, 2}).data<double>()[5] == 6);
  CHECK(a.view({6}).shares_storage_with(a));
  CHECK_THROWS_AS(a.view({4}), Error);
}

TEST_CASE("elements are read only as what they are") {
  const Tensor a = Tensor::zeros({2});
  CHECK_THROWS_AS(static_cast<void>(a.data<double>()), Error);
  CHECK_THROWS_AS(static_cast<void>(Tensor().data<float>()), Error);
  CHECK_THROWS_AS(a.item(), Error);
  CHECK(Tensor::full({1}, 2.5).item() == 2.5);
  CHECK_THROWS_AS(a.rows(), Error);
  CHECK_THROWS_AS(Tensor::from(std::span<const float>(), {1}), Error);
  CHECK_THROWS_AS(indices({1}).to(DType::f32), Error);
  CHECK_THROWS_AS(a.to(DType::i32), Error);
  CHECK_THROWS_AS(Tensor::empty({1}, DType::f32, {csreft::DeviceType::cuda, 64}), Error);  // no build has so many
}

TEST_CASE("shapes have at most four extents, none negative") {
  CHECK_THROWS_AS(Shape({1, 2, 3, 4, 5}), Error);
  CHECK_THROWS_AS(Shape({2, -1}), Error);
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{3, 0}.numel() == 0);
  CHECK(Shape{3, 64}.str() == "[3, 64]");
}

TEST_CASE("conversion between f32, bf16 and f64 keeps what the target can hold") {
  const Tensor a = values({1.5, -2.25, 0.1}, {3});
  const Tensor narrow = a.to(DType::bf16);
  CHECK(narrow.bytes() == 6);
  CHECK(static_cast<float>(narrow.data<bfloat16>()[1]) == -2.25F);
  // bf16 has 8 significant bits.
  CHECK(narrow.to(DType::f64).data<double>()[2] == doctest::Approx(0.1).epsilon(1.0 / 256));
  CHECK(a.to(DType::f32).data<float>()[2] == 0.1F);
  CHECK(a.to(DType::f64).shares_storage_with(a));
  CHECK(Tensor::full({2}, 1, DType::bf16).to(DType::f32).data<float>()[1] == 1.0F);
}

TEST_CASE("bfloat16 rounds to nearest, ties to even") {
  const auto round = [](float x) { return static_cast<float>(bfloat16(x)); };
  constexpr float ulp = 1.0F / 128;  // between 1 and 2
  CHECK(round(1 + ulp / 2) == 1.0F);
  CHECK(round(1 + ulp + ulp / 2) == 1 + 2 * ulp);
  CHECK(round(1 + ulp / 2 + ulp / 1024) == 1 + ulp);
  CHECK(round(-1 - ulp / 2) == -1.0F);
  CHECK(round(std::numeric_limits<float>::max()) == std::numeric_limits<float>::infinity());
  CHECK(round(-std::numeric_limits<float>::infinity()) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(round(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::signbit(round(-0.0F)));
}

TEST_CASE("a borrowed tensor keeps its owner alive") {
  const auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  {
    const Tensor a = Tensor::borrow(owner->data(), {3}, DType::f32, owner);
    CHECK(owner.use_count() == 2);
    CHECK(a.data<float>()[2] == 3);
  }
  CHECK(owner.use_count() == 1);
}
