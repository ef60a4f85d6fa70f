#include "core/tensor/stored_matrix.h"

#include <doctest/doctest.h>

#include "tests/core/ops/numbers.h"
#include "tests/core/stored.h"

using csreft::DType;
using csreft::Error;
using csreft::Shape;
using csreft::StoredMatrix;
using csreft::Tensor;
using csreft::test::every_form;
using csreft::test::normal;
using csreft::test::same_bits;

TEST_CASE("a stored matrix decodes to the numbers that it stands for, whole and in parts") {
  for (const auto form : every_form) {
    CAPTURE(static_cast<int>(form));
    const StoredMatrix w = csreft::test::random_stored(form, 5, 512, 1);
    const Tensor expected = csreft::test::numbers_of(w).to(DType::f32);
    CHECK(same_bits(w.decoded(), expected));
    const Tensor part = Tensor::empty({256});
    w.decode(512 + 256, 1024, part.data<float>());
    CHECK(same_bits(part, expected.view({2560}).slice(768, 1024)));
  }
}

TEST_CASE("bf16 and halves decode as tensors of them do") {
  const Tensor x = normal({7, 13}, 1, DType::f32);
  CHECK(same_bits(StoredMatrix::bf16(x).decoded(), x.to(DType::bf16).to(DType::f32)));
  const Tensor rounded = x.to(DType::bf16);
  CHECK(StoredMatrix::bf16(rounded).bytes().data() == static_cast<const std::byte*>(rounded.raw()));
  const std::vector<std::uint16_t> halves{0x3c00, 0xc000, 0x0001, 0x7c00};
  const StoredMatrix h({2, 2}, csreft::f16_encoding(), std::as_bytes(std::span(halves)), nullptr);
  CHECK(same_bits(h.decoded(), csreft::test::values({1, -2, 0x1p-24, HUGE_VAL}, {2, 2}).to(DType::f32)));
}

TEST_CASE("a reordered matrix has the rows that the order names") {
  for (const auto form : every_form) {
    const StoredMatrix w = csreft::test::random_stored(form, 4, 256, 1);
    const Tensor all = w.decoded(), turned = w.reordered([](std::int64_t row) { return 3 - row; }).decoded();
    for (std::int64_t i = 0; i < 4; ++i) CHECK(same_bits(turned.slice(i, i + 1), all.slice(3 - i, 4 - i)));
  }
}

TEST_CASE("bytes that do not fit a shape are refused") {
  const std::vector<std::byte> bytes(36);
  const auto make = [&](const Shape& shape, std::shared_ptr<const csreft::RowEncoding> encoding) {
    return StoredMatrix(shape, std::move(encoding), bytes, nullptr).rows();
  };
  const auto q4_0 = csreft::test::encoding_of(csreft::RowForm::q4_0);
  CHECK(make({2, 32}, q4_0) == 2);
  CHECK_THROWS_WITH_AS(make({2, 64}, q4_0), doctest::Contains("36 bytes do not fit"), Error);
  CHECK_THROWS_WITH_AS(make({4, 16}, q4_0), doctest::Contains("no whole blocks of 32"), Error);
  CHECK_THROWS_WITH_AS(make({18}, csreft::bf16_encoding()), doctest::Contains("expected two axes"), Error);
}
