// The learning rate of each variant, chosen from one list on validation data: a share of each training task that is set
// apart for it. Test data play no part.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/ablations/cells.h"

namespace csreft {

struct RateSearch {
  std::vector<double> rates;  // empty: each variant's own rate
  double share = 0.1;         // of each training task
  // The group of a variant of this name, whose first variant's rate all of it has; null: each chooses its own.
  std::string (*group)(const std::string& variant) = nullptr;

  std::string group_of(const Variant& variant) const { return group == nullptr ? variant.name : group(variant.name); }

  // "1e-3,2e-3". Throws Error for text of another kind, a rate that is not positive, and one that is named twice.
  static std::vector<double> parse(const std::string& text);
};

// The setting of the search: a folder of its own, and no text elsewhere.
Setting search_setting(const Setting& setting);
// A cell for each group's first variant that is trained and each rate, with the variant's seed, which draws the
// validation examples.
std::vector<Variant> search_cells(std::span<const Variant> variants, const RateSearch& search, const Setting& setting);
// Gives each variant the rate with which its group's first did best: by mean accuracy over the tasks that have one, by
// mean nll where none has; the smaller of equals. All cells of the search are done. Returns a table: variant, rate,
// score, chosen.
std::string choose_rates(std::span<Variant> variants, const RateSearch& search, const Setting& setting);

}  // namespace csreft
