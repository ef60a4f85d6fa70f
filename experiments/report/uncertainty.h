// How sure scores are, and differences between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace csreft {

struct Interval {
  double low = 0.0, high = 0.0;
};

// Where the share of which `share` was observed in n draws lies, at 95 %: Wilson's score interval (1927, "Probable
// inference, the law of succession, and statistical inference"). It lies within 0 and 1, and has a length even at both
// ends. Throws Error unless 0 <= share <= 1 and n >= 1.
Interval wilson_interval(double share, std::int64_t n);

// The standard error of a share observed in n draws: sqrt(p (1 - p) / n). n >= 1.
double binomial_error(double share, std::int64_t n);

// What two models differ by on the same examples.
struct PairedDifference {
  double mean = 0.0;            // of second - first
  double standard_error = 0.0;  // of that mean: the differences' sample deviation / sqrt(n); NaN for one pair
  std::size_t n = 0;
};

// first[i] and second[i] are values of example i, such as 1 for a right answer and 0 for a wrong one; then this is the
// test of McNemar (1947) as a mean with its error. Throws Error for none, and for unequal numbers of values.
PairedDifference paired_difference(std::span<const double> first, std::span<const double> second);

// second - first, example by example. Throws Error for unequal numbers of values.
std::vector<double> differences_of(std::span<const double> first, std::span<const double> second);

// Where the mean over tasks of each task's mean value lies, at 95 %: the percentiles 2.5 and 97.5 of it over resamples
// (Efron 1979, "Bootstrap methods: another look at the jackknife"). A resample draws from each task, with replacement,
// as many of its examples as it has. The same seed gives the same interval. Throws Error for no task, for one without
// examples, and for less than one resample.
Interval bootstrap_interval(std::span<const std::vector<double>> tasks, std::uint64_t seed = 0,
                            std::int64_t resamples = 10'000);

// The same of values that several seeds have for the same examples, [seeds][tasks][examples]: a resample draws, with
// replacement, as many seeds as there are, and of each task as many examples as it has, the same for all of its seeds
// (a bootstrap of two crossed levels). With one seed: bootstrap_interval(). Throws Error as that does, for no seed, and
// for seeds of other tasks or other numbers of examples.
Interval two_level_interval(std::span<const std::vector<std::vector<double>>> seeds, std::uint64_t seed = 0,
                            std::int64_t resamples = 10'000);

}  // namespace csreft
