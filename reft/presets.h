// Settings that belong together, by name: published recipes, and those that this project has measured.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "reft/methods/method.h"

namespace csreft {

struct Preset {
  std::string_view name;
  std::string_view summary;
  MethodOptions method;
  nlohmann::json train = nlohmann::json::object();  // options of the training loop
};

std::span<const Preset> presets();
// Throws Error, naming the nearest, for an unknown name.
const Preset& find_preset(std::string_view name);
// The preset of the method whose other settings suit those that are given; null for a method without presets of its
// own. A method's name alone is not a setting.
const Preset* suitable_preset(const MethodOptions& given);

// The options of `preset` with those that are given in place of the preset's. Options that only go together follow the
// given one: no penalty, no weight of it; gates by token, a router that reads tokens.
MethodOptions with_preset(const Preset& preset, const MethodOptions& given);
// The name of the method's preset that these options (layers aside) and those of the training loop follow. Where they
// follow none whole: "paper, changed: gate", of the one with the fewest departures; "none" for a method without
// presets.
std::string preset_name(const MethodOptions& resolved, const nlohmann::json& train);
// The options in which `resolved` departs from the preset, as "gate, lambda"; layers aside, and options that do not
// apply (those of the router where there is none).
std::string departures(const Preset& preset, const MethodOptions& resolved);

}  // namespace csreft
