#include "models/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"

namespace csreft {
namespace {

std::vector<std::int32_t> most_probable(std::span<const float> logits, std::size_t n) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto higher = [&](std::int32_t a, std::int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n), ids.end(), higher);
  ids.resize(n);
  return ids;
}

}  // namespace

void check_sampling(const SamplingOptions& options) {
  require(options.temperature >= 0.0 && std::isfinite(options.temperature),
          "temperature {} is not possible: expected 0 (greedy) or more", options.temperature);
  require(options.top_k >= 0, "top-k {} is not possible: expected 0 (all) or more", options.top_k);
  require(options.top_p > 0.0 && options.top_p <= 1.0, "top-p {} is not possible: expected more than 0 and at most 1",
          options.top_p);
}

std::int32_t sample(std::span<const float> logits, const SamplingOptions& options, Random& random) {
  require(std::ranges::all_of(logits, [](float x) { return std::isfinite(x); }),
          "the model's logits are not finite: no token can be chosen");
  if (options.temperature == 0.0) {
    return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
  }
  const std::size_t k = options.top_k == 0 ? logits.size() : std::min<std::size_t>(options.top_k, logits.size());
  const auto ids = most_probable(logits, k);
  const double highest = logits[static_cast<std::size_t>(ids.front())];
  std::vector<double> mass;  // cumulative, not normalised
  double total = 0.0;
  for (const auto id : ids) {
    total += std::exp((logits[static_cast<std::size_t>(id)] - highest) / options.temperature);
    mass.push_back(total);
  }
  const auto nucleus = std::ranges::lower_bound(mass, options.top_p * total);
  const std::size_t kept = std::min(static_cast<std::size_t>(nucleus - mass.begin()) + 1, mass.size());
  const double draw = random.uniform() * mass[kept - 1];
  const auto chosen = std::upper_bound(mass.begin(), mass.begin() + static_cast<std::ptrdiff_t>(kept) - 1, draw);
  return ids[static_cast<std::size_t>(chosen - mass.begin())];
}

}  // namespace csreft
