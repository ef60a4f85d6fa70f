// Optimizers of one stack of points, and every choice of metric and retraction that an optimizer offers.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "reft/stiefel/manifold.h"
#include "reft/stiefel/optimizer.h"

namespace csreft::test {

// An optimizer with the given options and, unless they say else, a stiefel_lr of 1: lr is R's rate.
inline Chosen<OptimizerRule> rule_of(std::string_view name, const nlohmann::json& options = {}) {
  auto rule = choose_optimizer(name);
  set_options(*rule, {{"stiefel_lr", 1.0}});
  set_options(*rule, options.is_null() ? nlohmann::json::object() : options);
  return rule;
}

inline Optimizer optimizer_of(const Tensor& R, std::int64_t block_rows, Chosen<OptimizerRule> rule) {
  return Optimizer({{.name = "R", .value = R, .manifold = ParameterManifold::stiefel, .block_rows = block_rows}},
                   std::move(rule));
}

// {} for an optimizer without a manifold; otherwise {metric, retraction} of all pairs.
inline std::vector<nlohmann::json> manifold_choices(std::string_view optimizer) {
  auto rule = choose_optimizer(optimizer);
  const auto names = option_names(*rule);
  if (std::ranges::find(names, "retraction") == names.end()) return {nlohmann::json::object()};
  std::vector<nlohmann::json> choices;
  for (const Metric& metric : metrics()) {
    for (const Retraction& retraction : retractions()) {
      choices.push_back({{"metric", metric.name}, {"retraction", retraction.name}});
    }
  }
  return choices;
}

}  // namespace csreft::test
