#include "reft/presets.h"

#include <algorithm>
#include <array>

#include "core/base/table.h"
#include "reft/router/router.h"

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
           .summary = "independent sigmoid gates, as in the paper (whose router has --router-hidden d/2)",
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

const Preset& find_preset(std::string_view name) { return find_named(presets(), "preset", name); }

const Preset& preset_for(std::string_view gate, std::string_view penalty) {
  const bool competing = find_gate(gate).competing && find_penalty(penalty).of_competing;
  return *std::ranges::find(table, competing, [](const Preset& p) { return find_gate(p.gate).competing; });
}

void set_preset(const Preset& preset, MethodOptions& options, double& router_lr) {
  for_each_setting(preset, options, router_lr, [](auto, const auto& value, auto& setting) { setting = value; });
}

std::string_view preset_name(const MethodOptions& options, double router_lr) {
  for (const auto& preset : table) {
    bool same = true;
    for_each_setting(preset, options, router_lr,
                     [&](auto, const auto& value, const auto& setting) { same = same && setting == value; });
    if (same) return preset.name;
  }
  return "custom";
}

}  // namespace csreft
