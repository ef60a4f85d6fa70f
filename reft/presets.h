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
// The preset that a gate is at home in: `specialised` for one that competes, `paper` for every other.
const Preset& preset_of_gate(std::string_view gate);

void set_preset(const Preset& preset, MethodOptions& options, double& router_lr);
// The name of the preset that these settings are, or "custom".
std::string_view preset_name(const MethodOptions& options, double router_lr);

}  // namespace csreft
