#include "reft/presets.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/nearest.h"
#include "reft/router.h"

namespace csreft {
namespace {

constexpr std::array table{
    Preset{.name = "specialised",
           .summary = "gates compete for each prompt: subspaces take skills without being told which there are",
           .gate = "top1",
           .penalty = "mi",
           .lambda = 0.3,
           .router_input = "hidden",
           .router_norm = true,
           .router_start = "clusters",
           .router_lr = 0.1},
    Preset{.name = "paper",
           .summary = "the router as the paper has it: independent sigmoids, no penalty",
           .gate = "soft",
           .penalty = "none",
           .lambda = 0.0,
           .router_input = "prompt_mean",
           .router_norm = false,
           .router_start = "random",
           .router_lr = 1.0},
};

}  // namespace

std::span<const Preset> presets() { return table; }

const Preset& find_preset(std::string_view name) {
  const auto found = std::ranges::find(table, name, &Preset::name);
  if (found != table.end()) return *found;
  std::vector<std::string_view> names;
  for (const auto& preset : table) names.push_back(preset.name);
  fail("unknown preset '{}'{}: expected one of {}", name, suggestion(name, names), fmt::join(names, ", "));
}

const Preset& preset_of_gate(std::string_view gate) {
  return find_preset(find_gate(gate).competing ? "specialised" : "paper");
}

void set_preset(const Preset& preset, MethodOptions& options, double& router_lr) {
  options.gate = preset.gate;
  options.penalty = preset.penalty;
  options.lambda = preset.lambda;
  options.router_input = preset.router_input;
  options.router_norm = preset.router_norm;
  options.router_start = preset.router_start;
  router_lr = preset.router_lr;
}

std::string_view preset_name(const MethodOptions& options, double router_lr) {
  const auto found = std::ranges::find_if(table, [&](const Preset& p) {
    return options.gate == p.gate && options.penalty == p.penalty && options.lambda == p.lambda &&
           options.router_input == p.router_input && options.router_norm == p.router_norm &&
           options.router_start == p.router_start && router_lr == p.router_lr;
  });
  return found == table.end() ? "custom" : found->name;
}

}  // namespace csreft
