// The learning rate of each variant, chosen from one list on validation data: training examples that nobody learns
// from or, where there are none, a share of each training task that is set apart for it. Test data play no part.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experiments/ablations/cells.h"

namespace csreft {

struct RateSearch {
  std::vector<double> rates;     // empty: each variant's own rate
  double share = 0.1;            // of each training task, where not as many are spare
  std::size_t most_spare = 100;  // of each training task
  // The group of a variant of this name, whose first variant's rate all of it has; null: each chooses its own.
  std::string (*group)(const std::string& variant) = nullptr;

  std::string group_of(const Variant& variant) const { return group == nullptr ? variant.name : group(variant.name); }

  // "1e-3,2e-3". Throws Error for text of another kind, a rate that is not positive, and one that is named twice.
  static std::vector<double> parse(const std::string& text);
};

// The setting of the search: a folder of its own, and no text elsewhere.
Setting search_setting(const Setting& setting);
// Those that search for the rates of `chosen`: of each of their groups, the first among `all` variants, which is the
// same whichever are chosen. None of the untrained.
std::vector<Variant> searching_variants(std::span<const Variant> chosen, std::span<const Variant> all,
                                        const RateSearch& search);
// A cell for each of these and each rate, with the variant's seed, which draws the validation examples.
std::vector<Variant> search_cells(std::span<const Variant> searching, const RateSearch& search, const Setting& setting);

// Of each rate, how a variant did: more is better.
struct RateScores {
  std::string group;
  std::vector<double> scores;  // mean over the tasks that have answers, or else minus the mean nll
  std::vector<double> errors;  // standard errors of shares over the examples; else empty
  std::int64_t examples = 0;   // of validation, all tasks together
  std::size_t best = 0;        // the smaller rate of equals
};
// Of finished cells of the search. Throws Error where one is missing.
std::vector<RateScores> read_rate_scores(std::span<const Variant> searching, const RateSearch& search,
                                         const Setting& setting);
// Gives each variant the best rate of its group.
void apply_rates(std::span<Variant> variants, std::span<const RateScores> scores, const RateSearch& search);
// A table: variant, rate, score, error, examples, chosen.
std::string rates_table(std::span<const RateScores> scores, const RateSearch& search);

}  // namespace csreft
