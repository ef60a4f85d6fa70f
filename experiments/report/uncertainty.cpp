#include "experiments/report/uncertainty.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/base/error.h"
#include "core/tensor/random.h"

namespace csreft {
namespace {

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The mean of as many values as there are, each drawn from all.
double resampled_mean(std::span<const double> values, Random& random) {
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += values[random.below(values.size())];
  return sum / static_cast<double>(values.size());
}

// The mean over tasks of their means over seeds and examples, both drawn: an example has the values of all drawn seeds.
double resampled_mean(std::span<const std::vector<std::vector<double>>> seeds, Random& random) {
  std::vector<const std::vector<std::vector<double>>*> drawn(seeds.size());
  for (auto& one : drawn) one = &seeds[random.below(seeds.size())];
  double mean = 0.0;
  for (std::size_t t = 0; t < seeds.front().size(); ++t) {
    const std::size_t n = seeds.front()[t].size();
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t example = random.below(n);
      for (const auto* one : drawn) sum += (*one)[t][example];
    }
    mean += sum / static_cast<double>(n * seeds.size() * seeds.front().size());
  }
  return mean;
}

// The value below which a share of the sorted values lies: the nearest rank.
double percentile(const std::vector<double>& sorted, double share) {
  const double last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::lround(share * last))];
}

}  // namespace

Interval wilson_interval(double share, std::int64_t n) {
  require(n >= 1 && share >= 0.0 && share <= 1.0, "a share of {} of {} draws: expected one of 0 to 1, and one or more",
          share, n);
  constexpr double z = 1.959963984540054;  // of which a normal variable exceeds +-z in 5 % of all cases
  const auto draws = static_cast<double>(n);
  const double centre = share + z * z / (2.0 * draws);
  const double half = z * std::sqrt(share * (1.0 - share) / draws + z * z / (4.0 * draws * draws));
  const double scale = 1.0 + z * z / draws;
  return {std::max(0.0, (centre - half) / scale), std::min(1.0, (centre + half) / scale)};
}

double binomial_error(double share, std::int64_t n) {
  return std::sqrt(share * (1.0 - share) / static_cast<double>(n));
}

std::vector<double> differences_of(std::span<const double> first, std::span<const double> second) {
  require(first.size() == second.size(), "{} values are paired with {}: expected as many", first.size(), second.size());
  std::vector<double> differences(first.size());
  std::ranges::transform(second, first, differences.begin(), std::minus());
  return differences;
}

PairedDifference paired_difference(std::span<const double> first, std::span<const double> second) {
  const std::vector<double> differences = differences_of(first, second);
  require(!differences.empty(), "there are no values to pair: expected one or more");
  PairedDifference out{.mean = mean_of(differences),
                       .standard_error = std::numeric_limits<double>::quiet_NaN(),
                       .n = differences.size()};
  if (out.n < 2) return out;
  const auto n = static_cast<double>(out.n);
  double squares = 0.0;
  for (const double d : differences) squares += (d - out.mean) * (d - out.mean);
  out.standard_error = std::sqrt(squares / (n - 1.0) / n);
  return out;
}

Interval bootstrap_interval(std::span<const std::vector<double>> tasks, std::uint64_t seed, std::int64_t resamples) {
  require(!tasks.empty() && std::ranges::none_of(tasks, &std::vector<double>::empty),
          "there is nothing to draw from in {} tasks: expected one or more, each with examples", tasks.size());
  require(resamples >= 1, "{} resamples are not possible: expected 1 or more", resamples);
  Random random(seed);
  std::vector<double> means(static_cast<std::size_t>(resamples));
  for (double& mean : means) {
    for (const auto& task : tasks) mean += resampled_mean(task, random) / static_cast<double>(tasks.size());
  }
  std::ranges::sort(means);
  return {percentile(means, 0.025), percentile(means, 0.975)};
}

Interval two_level_interval(std::span<const std::vector<std::vector<double>>> seeds, std::uint64_t seed,
                            std::int64_t resamples) {
  require(!seeds.empty(), "there are no seeds to draw from: expected one or more");
  const auto& first = seeds.front();
  require(std::ranges::all_of(seeds,
                              [&](const auto& tasks) {
                                return std::ranges::equal(tasks, first, {}, &std::vector<double>::size,
                                                          &std::vector<double>::size);
                              }),
          "{} seeds have other tasks or other numbers of examples: expected the same", seeds.size());
  if (seeds.size() == 1) return bootstrap_interval(first, seed, resamples);
  require(!first.empty() && std::ranges::none_of(first, &std::vector<double>::empty) && resamples >= 1,
          "there is nothing to draw from in {} tasks and {} resamples: expected one or more, each task with examples",
          first.size(), resamples);
  Random random(seed);
  std::vector<double> means(static_cast<std::size_t>(resamples));
  for (double& mean : means) mean = resampled_mean(seeds, random);
  std::ranges::sort(means);
  return {percentile(means, 0.025), percentile(means, 0.975)};
}

}  // namespace csreft
