#include "reft/adapters/lora_adapter.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace csreft {

double lora_scale(double alpha, std::int64_t rank, bool use_rslora) {
  const auto r = static_cast<double>(rank);
  return alpha / (use_rslora ? std::sqrt(r) : r);
}

std::string module_name(std::int64_t layer, LinearSite site) {
  const bool in_attention = site <= LinearSite::o_proj;
  return fmt::format("model.layers.{}.{}.{}", layer, in_attention ? "self_attn" : "mlp", to_string(site));
}

std::vector<LinearSite> linear_sites() {
  using enum LinearSite;
  return {q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj};
}

std::vector<std::int64_t> layers_of(const LoraAdapter& adapter) {
  std::set<std::int64_t> layers;
  for (const auto& module : adapter.modules) layers.insert(module.layer);
  return {layers.begin(), layers.end()};
}

std::vector<std::string> targets_of(const LoraAdapter& adapter) {
  std::set<LinearSite> sites;
  for (const auto& module : adapter.modules) sites.insert(module.site);
  std::vector<std::string> names;
  for (const auto site : sites) names.emplace_back(to_string(site));
  return names;
}

}  // namespace csreft
