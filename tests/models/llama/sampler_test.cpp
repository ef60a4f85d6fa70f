#include "models/llama/sampler.h"

#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "core/device/device_info.h"
#include "core/tensor/random.h"
#include "tests/device.h"
#include "tests/error_text.h"

namespace {

using csreft::SamplingOptions;
using csreft::Tensor;

// Probabilities 0.1, 0.4, 0.2, 0.3.
const std::vector<float> logits{std::log(0.1F), std::log(0.4F), std::log(0.2F), std::log(0.3F)};

// `rows` rows of the same logits, on the test device.
Tensor repeated(const std::vector<float>& row, std::size_t rows) {
  std::vector<float> all;
  for (std::size_t i = 0; i < rows; ++i) all.insert(all.end(), row.begin(), row.end());
  return on_test_device(Tensor::from(std::span<const float>(all),
                                     {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(row.size())}));
}

// The tokens that sequences 0, 1, ... draw from the same logits, `draws` of them each.
std::vector<std::int32_t> drawn(const std::vector<float>& row, const SamplingOptions& options, std::size_t sequences,
                                int draws, std::uint64_t first_stream = 0) {
  std::vector<std::int32_t> ids(sequences), tokens;
  std::iota(ids.begin(), ids.end(), 0);
  const Tensor counts = csreft::draw_counts(ids, 0, test_device()), on_device = repeated(row, sequences);
  for (int i = 0; i < draws; ++i) {
    const auto next = csreft::sample(on_device, options, first_stream, counts);
    tokens.insert(tokens.end(), next.begin(), next.end());
  }
  return tokens;
}

std::int32_t one(const std::vector<float>& row, const SamplingOptions& options) { return drawn(row, options, 1, 1)[0]; }

// The emulated device, which is slow, draws fewer.
std::size_t many() { return csreft::is_emulated(test_device()) ? 2 : 100; }

std::array<double, 4> frequencies(SamplingOptions options, std::size_t sequences = many()) {
  options.seed = 7;
  const auto tokens = drawn(logits, options, sequences, 200);
  std::array<double, 4> counts{};
  for (const auto token : tokens) counts[static_cast<std::size_t>(token)] += 1.0 / static_cast<double>(tokens.size());
  return counts;
}

// Four deviations of a frequency near one half: of 20,000 draws 0.0036 each.
double tolerance() { return 4 * std::sqrt(0.25 / (200 * static_cast<double>(many()))); }

std::string refusal(const SamplingOptions& options) {
  return error_text([&] { return drawn(logits, options, 2, 1).front(); });
}

}  // namespace

TEST_CASE("without temperature the largest logit is taken, the first of equal ones") {
  CHECK(one(logits, {}) == 1);
  CHECK(one({1, 3, 3, 2}, {}) == 1);
  CHECK(one({-1, -0.0F, 0, -2}, {}) == 1);
  CHECK(one({-3, -1, -2}, {}) == 1);
  CHECK(one({5}, {.temperature = 1}) == 0);
}

TEST_CASE("tokens are drawn by their probabilities") {
  const auto f = frequencies({.temperature = 1});
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(f[i] - std::exp(logits[i])) < tolerance());
  // At temperature 0.5 probabilities are squared: 0.01, 0.16, 0.04, 0.09 of 0.3.
  const auto sharper = frequencies({.temperature = 0.5});
  CHECK(std::abs(sharper[1] - 0.16 / 0.3) < tolerance());
  CHECK(std::abs(sharper[0] - 0.01 / 0.3) < tolerance());
}

TEST_CASE("top-k and top-p leave the most probable tokens only") {
  const auto two = frequencies({.temperature = 1, .top_k = 2});
  CHECK(two[0] == 0);
  CHECK(two[2] == 0);
  CHECK(std::abs(two[1] - 4.0 / 7) < tolerance());
  CHECK(frequencies({.temperature = 5, .top_k = 1}, 2)[1] == doctest::Approx(1));
  CHECK(frequencies({.temperature = 1, .top_k = 99})[0] > 0);  // more than there are: all

  // 0.4 and 0.3 reach 0.6; the rest is cut.
  const auto nucleus = frequencies({.temperature = 1, .top_p = 0.6});
  CHECK(nucleus[0] == 0);
  CHECK(nucleus[2] == 0);
  CHECK(std::abs(nucleus[3] - 3.0 / 7) < tolerance());
  CHECK(frequencies({.temperature = 1, .top_p = 1e-9}, 2)[1] == doctest::Approx(1));
  // The nucleus is one of the k tokens that are left: 4/7 alone reaches a half.
  CHECK(frequencies({.temperature = 1, .top_k = 2, .top_p = 0.5}, 2)[1] == doctest::Approx(1));
}

TEST_CASE("a seed and a stream fix the draws, whoever shares the batch") {
  const auto draws = [](std::uint64_t seed, std::uint64_t stream) {
    return drawn(logits, {.temperature = 1, .seed = seed}, 1, 40, stream);
  };
  CHECK(draws(1, 0) == draws(1, 0));
  CHECK(draws(1, 0) != draws(2, 0));
  CHECK(draws(1, 0) != draws(1, 1));
  const auto together = drawn(logits, {.temperature = 1, .seed = 1}, 3, 40);
  for (std::size_t i = 0; i < 40; ++i) CHECK(together[3 * i + 1] == draws(1, 1)[i]);
}

TEST_CASE("draws follow the random reader, from wherever the count stands") {
  csreft::Random random(3, 12);
  for (int i = 0; i < 5; ++i) random.uniform();
  const Tensor counts = csreft::draw_counts(std::vector<std::int32_t>{2}, 5, test_device());
  for (int i = 0; i < 6; ++i) {
    // In falling order: 0.4, 0.3, 0.2, 0.1 of tokens 1, 3, 2, 0.
    const double u = random.uniform();
    const std::int32_t expected = u < 0.4 ? 1 : (u < 0.7 ? 3 : (u < 0.9 ? 2 : 0));
    CHECK(csreft::sample(repeated(logits, 1), {.temperature = 1, .seed = 3}, 10, counts)[0] == expected);
  }
  CHECK(counts.to(csreft::Device{}).span<std::int32_t>()[1] == 11);
}

TEST_CASE("logits far apart and tiny temperatures take the largest") {
  CHECK(one({0, 1e30F, -1e30F}, {.temperature = 1}) == 1);
  CHECK(one({0, 1, 0.5F}, {.temperature = 1e-300}) == 1);
  CHECK(one({7, 7, 7}, {.temperature = 1e-300, .top_k = 1}) == 0);
}

TEST_CASE("options that mean nothing are refused, and logits that are not finite give no token") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal({.temperature = 0.7, .top_k = 3, .top_p = 0.9}).empty());
  CHECK(contains(refusal({.temperature = -1}), "temperature -1"));
  CHECK(contains(refusal({.temperature = nan}), "temperature"));
  CHECK(contains(refusal({.top_k = -1}), "top-k -1"));
  CHECK(contains(refusal({.top_p = 0}), "top-p 0"));
  CHECK(contains(refusal({.top_p = 1.5}), "top-p 1.5"));
  CHECK(contains(refusal({.top_p = nan}), "top-p"));
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    for (const double temperature : {0.0, 1.0}) CHECK(one({0, bad}, {.temperature = temperature}) == -1);
  }
}
