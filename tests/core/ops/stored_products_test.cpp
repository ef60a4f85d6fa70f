// Products with matrices that are kept as files store them.
#include <cmath>
#include <limits>
#include <thread>

#include <doctest/doctest.h>

#include "core/base/threads.h"
#include "core/cpu/allocator.h"
#include "core/cpu/packed_matrix.h"
#include "core/ops/packed_matrix.h"
#include "core/ops/stored_rows.h"
#include "tests/core/ops/numbers.h"
#include "tests/core/stored.h"

using csreft::DType;
using csreft::Error;
using csreft::PackedMatrix;
using csreft::Packing;
using csreft::RowForm;
using csreft::StoredMatrix;
using csreft::Tensor;
using csreft::ops::Transpose;
using csreft::test::distance;
using csreft::test::every_form;
using csreft::test::normal;
using csreft::test::random_stored;
using csreft::test::same_bits;

namespace {

// Sets the number of threads for a scope.
struct Threads {
  explicit Threads(int n) : before(csreft::threads()) { csreft::set_threads(n); }
  ~Threads() { csreft::set_threads(before); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  int before;
};

constexpr std::int64_t row_counts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 40, 67};

// `columns` or the next multiple of the form's block.
std::int64_t whole_blocks(RowForm form, std::int64_t columns) {
  const std::int64_t block = csreft::test::size_of_form(form).elements;
  return (columns + block - 1) / block * block;
}

// Sums of up to 800 products of order 1 in f32: some 28 times the rounding of one, and less than 100 of it.
double tolerance(std::int64_t terms) { return 1e-5 * std::sqrt(static_cast<double>(std::max<std::int64_t>(1, terms))); }

}  // namespace

TEST_CASE("a stored matrix multiplies as the numbers that it stands for, for any number of rows and threads") {
  constexpr std::int64_t shapes[][2] = {{1, 32}, {3, 64}, {130, 96}, {200, 704}, {0, 32}};
  for (const int threads : {1, 2}) {
    const Threads scope(threads);
    for (const RowForm form : every_form) {
      for (const Packing packing : {Packing::rows, Packing::automatic}) {
        for (const auto& [out, columns] : shapes) {
          const std::int64_t in = whole_blocks(form, columns);
          const StoredMatrix stored = random_stored(form, out, in, 1);
          const Tensor w = csreft::test::numbers_of(stored);
          const PackedMatrix packed(stored, packing);
          CHECK(packed.out_features() == out);
          CHECK(packed.in_features() == in);
          CHECK(packed.dtype() == DType::f32);
          for (const std::int64_t n : row_counts) {
            CAPTURE(static_cast<int>(form));
            CAPTURE(out);
            CAPTURE(in);
            CAPTURE(n);
            const Tensor x = normal({n, in}, 2).to(DType::f32), y = normal({n, out}, 3).to(DType::f32);
            const Tensor wide_x = x.to(DType::f64), wide_y = y.to(DType::f64);
            CHECK(distance(packed.apply(x), csreft::ops::matmul(wide_x, w, Transpose::no, Transpose::yes)) <
                  tolerance(in));
            CHECK(distance(packed.apply_transposed(y), csreft::ops::matmul(wide_y, w)) < tolerance(out));
            const Tensor sum = x.clone();
            packed.apply_transposed_add_(sum, y);
            CHECK(distance(sum, csreft::ops::add(wide_x, csreft::ops::matmul(wide_y, w))) < tolerance(out));
          }
        }
      }
    }
  }
}

TEST_CASE(
    "a few rows read a matrix as it is stored, where there is a product for it, and many its copy if it has one") {
  constexpr std::int64_t out = 8, in = 256, few = 16, many = 17;
  const std::int64_t in_f32 = 4 * out * in;
  for (const RowForm form : every_form) {
    CAPTURE(static_cast<int>(form));
    const StoredMatrix stored = random_stored(form, out, in, 1);
    const std::int64_t as_stored = std::ssize(stored.bytes());
    const PackedMatrix by_panels(stored, Packing::rows), copied(stored, Packing::automatic);
    CHECK(by_panels.read_bytes(few) == as_stored);
    CHECK(by_panels.read_bytes(many) == as_stored);
    CHECK(copied.read_bytes(few) == (form == RowForm::other ? in_f32 : as_stored));
    CHECK(copied.read_bytes(many) == in_f32);
  }
  CHECK(PackedMatrix(normal({out, in}, 1, DType::f32)).read_bytes(few) == in_f32);
  CHECK(PackedMatrix(normal({out, in}, 1)).read_bytes(few) == 2 * in_f32);
}

TEST_CASE("rows of bf16 and halves have any length") {
  for (const RowForm form : {RowForm::bf16, RowForm::f16}) {
    for (const std::int64_t in : {0, 1, 5, 31, 33, 77}) {
      const StoredMatrix stored = random_stored(form, 19, in, 1);
      const PackedMatrix packed(stored, Packing::rows);
      for (const std::int64_t n : {1, 3, 8, 20}) {
        CAPTURE(in);
        CAPTURE(n);
        const Tensor x = normal({n, in}, 2).to(DType::f32);
        const Tensor w = csreft::test::numbers_of(stored);
        CHECK(distance(packed.apply(x), csreft::ops::matmul(x.to(DType::f64), w, Transpose::no, Transpose::yes)) <
              tolerance(in));
      }
    }
  }
}

TEST_CASE("one row of any size meets stored blocks as exactly, and what is not finite stays so") {
  constexpr std::int64_t out = 6, in = 512, changed = 70;
  for (const RowForm form : every_form) {
    const StoredMatrix stored = random_stored(form, out, in, 1);
    const PackedMatrix packed(stored, Packing::rows);
    const Tensor w = csreft::test::numbers_of(stored);
    const Tensor x = normal({1, in}, 2, DType::f32);
    // One element that is far larger than its neighbours leaves them few bits of 16, and enough of 31.
    Tensor uneven = x.clone();
    uneven.data<float>()[changed] = 1000.0F;
    for (const double scale : {1e-20, 1.0, 1e20}) {
      CAPTURE(static_cast<int>(form));
      CAPTURE(scale);
      const Tensor scaled = csreft::ops::scale(uneven.to(DType::f64), scale);
      const Tensor expected = csreft::ops::matmul(scaled, w, Transpose::no, Transpose::yes);
      CHECK(distance(packed.apply(scaled.to(DType::f32)), expected) < 2e-3 * scale);
    }
    const Tensor none = packed.apply(Tensor::zeros({1, in}));
    for (std::int64_t o = 0; o < out; ++o) CHECK(none.data<const float>()[o] == 0.0F);
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      Tensor broken = x.clone();
      broken.data<float>()[changed] = bad;
      const Tensor y = packed.apply(broken);
      for (std::int64_t o = 0; o < out; ++o) CHECK(!std::isfinite(y.data<const float>()[o]));
    }
  }
}

TEST_CASE("products with a stored matrix repeat to the bit, and several threads may ask for them at once") {
  const StoredMatrix stored = random_stored(RowForm::q4_1, 96, 128, 1);
  const Tensor x = normal({40, 128}, 2, DType::f32);
  for (const Packing packing : {Packing::rows, Packing::automatic}) {
    const PackedMatrix packed(stored, packing);
    const Tensor few = packed.apply(x.slice(0, 3)), many = packed.apply(x);
    CHECK(same_bits(packed.apply(x.slice(0, 3)), few));
    CHECK(same_bits(packed.apply(x), many));
    const PackedMatrix fresh(stored, packing);
    std::vector<double> worst(3);
    std::vector<std::thread> threads;
    for (double& own : worst) {
      threads.emplace_back([&] { own = distance(fresh.apply(x), many) + distance(fresh.apply(x.slice(0, 3)), few); });
    }
    for (auto& thread : threads) thread.join();
    for (const double own : worst) CHECK(own < 1e-4);
  }
}

TEST_CASE("a matrix that is kept as it is stored takes no memory beside, whatever it is multiplied by") {
  for (const RowForm form : every_form) {
    csreft::release_kept_host_memory();
    const auto before = csreft::host_memory().used;
    const PackedMatrix packed(random_stored(form, 256, 512, 1), Packing::rows);
    static_cast<void>(packed.apply(Tensor::zeros({1, 512})));
    static_cast<void>(packed.apply(Tensor::zeros({40, 512})));
    static_cast<void>(packed.apply_transposed(Tensor::zeros({40, 256})));
    CHECK(csreft::host_memory().used == before);
  }
}

TEST_CASE("a copy in f32 is made by the first product of many rows that asks for it, and once") {
  csreft::release_kept_host_memory();
  const auto before = csreft::host_memory().used;
  const PackedMatrix packed(random_stored(RowForm::q8_0, 256, 512, 1), Packing::automatic);
  static_cast<void>(packed.apply(Tensor::zeros({1, 512})));
  CHECK(csreft::host_memory().used == before);
  for (int i = 0; i < 2; ++i) {
    static_cast<void>(packed.apply(Tensor::zeros({40, 512})));
    static_cast<void>(packed.apply_transposed(Tensor::zeros({1, 256})));
    const auto copy = csreft::host_memory().used - before;
    CHECK(copy >= 4 * 256 * 512);
    CHECK(copy < 5 * 256 * 512);
  }
}

TEST_CASE("rows of a stored matrix are gathered in f32") {
  for (const RowForm form : every_form) {
    const StoredMatrix w = random_stored(form, 6, 256, 1);
    const auto index = csreft::test::indices({5, 0, 5});
    CHECK(same_bits(csreft::ops::gather_rows(w, index), csreft::ops::gather_rows(w.decoded(), index)));
    CHECK_THROWS_WITH_AS(csreft::ops::gather_rows(w, csreft::test::indices({6})), doctest::Contains("names row 6"),
                         Error);
    CHECK_THROWS_AS(csreft::ops::gather_rows(w, csreft::RowIndex()), Error);
  }
}

TEST_CASE("a product with a stored matrix refuses what does not fit") {
  const StoredMatrix stored = random_stored(RowForm::q4_0, 4, 32, 1);
  const PackedMatrix packed(stored);
  CHECK_THROWS_AS(packed.apply(Tensor::zeros({2, 4})), Error);
  CHECK_THROWS_AS(packed.apply(Tensor::zeros({2, 32}, DType::f64)), Error);
  CHECK_THROWS_AS(packed.apply_transposed(Tensor::zeros({2, 32})), Error);
  CHECK_THROWS_WITH_AS(PackedMatrix(stored, Packing::tf32), doctest::Contains("has no TF32"), Error);
}
