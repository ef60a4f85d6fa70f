// Settings of CS-ReFT's router that belong together, by name.
#pragma once

#include <span>
#include <string_view>

#include "reft/methods/method.h"

namespace csreft {

struct Preset {
  std::string_view name;
  std::string_view summary;
  std::string_view gate;
  std::string_view penalty;
  double lambda;
  std::string_view router_input;
  bool router_norm;
  std::string_view router_start;
  double router_lr;  // times the learning rate
};

std::span<const Preset> presets();
// Throws Error, naming the nearest, for an unknown name.
const Preset& find_preset(std::string_view name);
// The first preset whose gates are of the kind that `gate` is and that `penalty` speaks of.
const Preset& preset_for(std::string_view gate, std::string_view penalty);

// Calls visit(flag, the preset's value, where it belongs) for each setting: the one list of them.
template <typename Options, typename Visit>
void for_each_setting(const Preset& preset, Options& options, double& router_lr, Visit&& visit) {
  visit("--gate", preset.gate, options.gate);
  visit("--penalty", preset.penalty, options.penalty);
  visit("--lambda", preset.lambda, options.lambda);
  visit("--router-input", preset.router_input, options.router_input);
  visit("--router-norm", preset.router_norm, options.router_norm);
  visit("--router-start", preset.router_start, options.router_start);
  visit("--router-lr", preset.router_lr, router_lr);
}

void set_preset(const Preset& preset, MethodOptions& options, double& router_lr);
// The name of the preset that these settings are, or "custom".
std::string_view preset_name(const MethodOptions& options, double router_lr);

}  // namespace csreft
