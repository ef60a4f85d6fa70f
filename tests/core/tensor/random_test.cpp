#include "core/tensor/random.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <doctest/doctest.h>

#include "core/base/threads.h"
#include "tests/core/ops/numbers.h"
#include "tests/device.h"

using csreft::philox;
using csreft::Random;
using csreft::Tensor;
using csreft::test::same_bits;

TEST_CASE("Philox4x32-10 gives its authors' known answers") {
  using Words = std::array<std::uint32_t, 4>;
  // Key words are the seed's, low first; counter words are the counter's and then the stream's.
  CHECK(philox(0, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(~0ULL, ~0ULL, ~0ULL) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("an element of a random tensor depends on its index alone") {
  const int before = csreft::threads();
  csreft::set_threads(1);
  const Tensor one = csreft::random_normal({1001}, 0, 1, 3, 4);
  csreft::set_threads(2);
  const Tensor two = csreft::random_normal({1001}, 0, 1, 3, 4);
  csreft::set_threads(before);
  CHECK(same_bits(one, two));
  CHECK(same_bits(csreft::random_normal({501}, 0, 1, 3, 4), one.slice(0, 501)));
  CHECK_FALSE(same_bits(csreft::random_normal({1001}, 0, 1, 3, 5), one));
  CHECK_FALSE(same_bits(csreft::random_normal({1001}, 0, 1, 4, 4), one));
}

TEST_CASE("normal and uniform elements have the mean and the deviation that was asked for") {
  // Deviations of the estimates from 100,000 draws: 2/316 and 2/447; four of them allowed.
  constexpr std::int64_t n = 100000;
  const Tensor x = csreft::random_normal({n}, 3, 2, 1, 0, csreft::DType::f64);
  const double mean = csreft::ops::sum(x).item() / n;
  CHECK(std::abs(mean - 3) < 0.026);
  CHECK(std::abs(std::sqrt(csreft::ops::squared_norm(x) / n - mean * mean) - 2) < 0.018);
  const Tensor u = csreft::random_uniform({n}, -1, 3, 1, 0);
  CHECK(std::abs(csreft::ops::sum(u).item() / n - 1) < 0.015);
  for (const float v : u.span<float>()) REQUIRE((v >= -1 && v < 3));
}

// With these bounds a product and a sum that are rounded each differ from one rounding in every second element.
TEST_CASE("a uniform element is rounded once, on processors with and without fused multiplication and addition") {
  constexpr double low = -1.0 / 24, high = 1.0 / 24;
  const Tensor u = csreft::random_uniform({999}, low, high, 1, 2, {csreft::DType::f64, test_device()});
  const Tensor here = u.to(csreft::Device{});
  int differing = 0;
  for (std::size_t i = 0; i < 999; ++i) {
    const double w = (philox(1, 2, i)[0] >> 8U) * 0x1p-24;
    const volatile double product = (high - low) * w;
    CHECK(here.span<double>()[i] == std::fma(high - low, w, low));
    differing += here.span<double>()[i] != low + product ? 1 : 0;
  }
  CHECK(differing > 300);
}

TEST_CASE("the test device draws what the host draws, uniform elements to the bit") {
  for (const csreft::DType dtype : {csreft::DType::f32, csreft::DType::f64}) {
    const csreft::TensorOptions there{dtype, test_device()};
    CHECK(same_bits(csreft::random_uniform({999}, -1, 3, 1, 2, there).to(csreft::Device{}),
                    csreft::random_uniform({999}, -1, 3, 1, 2, dtype)));
    // Logarithm, sine and cosine may differ by their last bits.
    CHECK(csreft::test::distance(csreft::random_normal({999}, 0, 1, 1, 2, there).to(csreft::Device{}),
                                 csreft::random_normal({999}, 0, 1, 1, 2, dtype)) <
          (dtype == csreft::DType::f32 ? 1e-6 : 1e-14));
  }
}

TEST_CASE("dropout keeps what its stream says and scales it") {
  const std::int64_t n = 20000;
  const Tensor x = on_test_device(Tensor::full({n}, 3.0, csreft::DType::f64));
  const Tensor y = csreft::ops::dropout(x, 0.25, 5, 6).to(csreft::Device{});
  const Tensor u = csreft::random_uniform({n}, 0, 1, 5, 6, csreft::DType::f64);
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const bool keep = u.data<double>()[i] >= 0.25;
    REQUIRE(y.data<double>()[i] == (keep ? 4.0 : 0.0));
    kept += keep ? 1 : 0;
  }
  CHECK(std::abs(static_cast<double>(kept) / n - 0.75) < 0.0123);  // four deviations of 0.0031
  CHECK_THROWS_AS(csreft::ops::dropout(x, 1.0, 5, 6), csreft::Error);
  CHECK_THROWS_AS(csreft::ops::dropout(x, -0.1, 5, 6), csreft::Error);
}

TEST_CASE("a random reader draws below its bound and shuffles everything") {
  Random random(5);
  std::vector<int> counts(3);
  for (int i = 0; i < 3000; ++i) ++counts[random.below(3)];
  // Binomial(3000, 1/3) has deviation 26; four of them allowed.
  for (const int count : counts) CHECK(std::abs(count - 1000) < 104);
  CHECK(random.below(1) == 0);
  for (int i = 0; i < 1000; ++i) REQUIRE((random.uniform() >= 0 && random.uniform() < 1));

  std::vector<int> items(100), sorted(100);
  std::iota(items.begin(), items.end(), 0);
  sorted = items;
  csreft::shuffle(items, random);
  CHECK(items != sorted);
  std::ranges::sort(items);
  CHECK(items == sorted);
}

TEST_CASE("Gumbel noise has its distribution, is finite, and turns scores into draws of their softmax") {
  constexpr std::int64_t n = 100000;
  const Tensor g = csreft::random_gumbel({n}, 1, 2, csreft::DType::f64);
  // Mean 0.5772 (Euler's constant), variance pi^2 / 6; the mean of 100,000 draws deviates by 0.0041: four allowed.
  const double mean = csreft::ops::sum(g).item() / n;
  CHECK(std::abs(mean - 0.57722) < 0.017);
  // The fourth central moment is 14.6, so that the variance deviates by 0.011: four allowed.
  CHECK(std::abs(csreft::ops::squared_norm(g) / n - mean * mean - 1.64493) < 0.044);
  CHECK(csreft::test::all_finite(g));
  CHECK_FALSE(same_bits(csreft::random_gumbel({n}, 1, 3, csreft::DType::f64), g));
  // The larger of log 3 + g and log 1 + g' is the first with probability 3/4; deviation 0.0019, four allowed.
  const auto draws = g.span<double>();
  std::int64_t first = 0;
  for (std::size_t i = 0; i < n; i += 2) first += std::log(3.0) + draws[i] > draws[i + 1] ? 1 : 0;
  CHECK(std::abs(2.0 * static_cast<double>(first) / n - 0.75) < 0.0078);
}

TEST_CASE("a Gumbel element is made from the first word of its block, on every device") {
  const csreft::TensorOptions there{csreft::DType::f64, test_device()};
  const Tensor here = csreft::random_gumbel({99}, 3, 4, there).to(csreft::Device{});
  for (std::size_t i = 0; i < 99; ++i) {
    const double u = (philox(3, 4, i)[0] + 0.5) * 0x1p-32;
    // Logarithms of other libraries differ by their last bits.
    CHECK(std::abs(here.span<double>()[i] + std::log(-std::log(u))) < 1e-12);
  }
}
