#include "models/sampler.h"

#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "tests/error_text.h"

namespace {

using csreft::Random;
using csreft::sample;
using csreft::SamplingOptions;

// Probabilities 0.1, 0.4, 0.2, 0.3.
const std::vector<float> logits{std::log(0.1F), std::log(0.4F), std::log(0.2F), std::log(0.3F)};

std::array<double, 4> frequencies(const SamplingOptions& options, int draws = 20000) {
  Random random(7);
  std::array<double, 4> counts{};
  for (int i = 0; i < draws; ++i) counts[static_cast<std::size_t>(sample(logits, options, random))] += 1.0 / draws;
  return counts;
}

std::string refusal(const SamplingOptions& options) {
  return error_text([&] {
    csreft::check_sampling(options);
    return 0;
  });
}

}  // namespace

TEST_CASE("without temperature the largest logit is taken, the first of equal ones") {
  Random random(1);
  CHECK(sample(logits, {}, random) == 1);
  CHECK(sample(std::vector<float>{1, 3, 3, 2}, {}, random) == 1);
  CHECK(sample(std::vector<float>{5}, {.temperature = 1}, random) == 0);
}

TEST_CASE("tokens are drawn by their probabilities") {
  // The deviation of a frequency in 20000 draws is at most 0.0036: four of them.
  const auto f = frequencies({.temperature = 1});
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(f[i] - std::exp(logits[i])) < 0.015);
  // At temperature 0.5 probabilities are squared: 0.01, 0.16, 0.04, 0.09 of 0.3.
  const auto sharper = frequencies({.temperature = 0.5});
  CHECK(std::abs(sharper[1] - 0.16 / 0.3) < 0.015);
  CHECK(std::abs(sharper[0] - 0.01 / 0.3) < 0.015);
}

TEST_CASE("top-k and top-p leave the most probable tokens only") {
  const auto two = frequencies({.temperature = 1, .top_k = 2});
  CHECK(two[0] == 0);
  CHECK(two[2] == 0);
  CHECK(std::abs(two[1] - 4.0 / 7) < 0.015);
  CHECK(frequencies({.temperature = 5, .top_k = 1}, 100)[1] == doctest::Approx(1));
  CHECK(frequencies({.temperature = 1, .top_k = 99})[0] > 0);  // more than there are: all

  // 0.4 and 0.3 reach 0.6; the rest is cut.
  const auto nucleus = frequencies({.temperature = 1, .top_p = 0.6});
  CHECK(nucleus[0] == 0);
  CHECK(nucleus[2] == 0);
  CHECK(std::abs(nucleus[3] - 3.0 / 7) < 0.015);
  CHECK(frequencies({.temperature = 1, .top_p = 1e-9}, 100)[1] == doctest::Approx(1));
  // The nucleus is one of the k tokens that are left: 4/7 alone reaches a half.
  CHECK(frequencies({.temperature = 1, .top_k = 2, .top_p = 0.5}, 100)[1] == doctest::Approx(1));
}

TEST_CASE("a seed and a stream fix the draws") {
  const auto draws = [](std::uint64_t seed, std::uint64_t stream) {
    Random random(seed, stream);
    std::vector<std::int32_t> ids;
    for (int i = 0; i < 40; ++i) ids.push_back(sample(logits, {.temperature = 1}, random));
    return ids;
  };
  CHECK(draws(1, 0) == draws(1, 0));
  CHECK(draws(1, 0) != draws(2, 0));
  CHECK(draws(1, 0) != draws(1, 1));
}

TEST_CASE("options and logits that mean nothing are refused") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal({.temperature = 0.7, .top_k = 3, .top_p = 0.9}).empty());
  CHECK(contains(refusal({.temperature = -1}), "temperature -1"));
  CHECK(contains(refusal({.temperature = nan}), "temperature"));
  CHECK(contains(refusal({.top_k = -1}), "top-k -1"));
  CHECK(contains(refusal({.top_p = 0}), "top-p 0"));
  CHECK(contains(refusal({.top_p = 1.5}), "top-p 1.5"));
  CHECK(contains(refusal({.top_p = nan}), "top-p"));
  Random random(1);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    CHECK(contains(error_text([&] { return sample(std::vector<float>{0, bad}, {}, random); }), "not finite"));
  }
}
