// adapter_config.json, the options of a LoRA adapter as Python's peft (0.4 to 0.21) writes and reads them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "reft/adapters/lora_adapter.h"

namespace csreft {

// Names of modules: a regular expression for the whole name, or a list of names or of their ends ("q_proj" is any name
// that ends in ".q_proj").
using ModuleNames = std::variant<std::string, std::vector<std::string>>;

struct PeftConfig {
  std::string source;  // the file's name, for errors
  std::int64_t rank = 8;
  double alpha = 8;
  bool use_rslora = false;
  double dropout = 0;
  std::string base_model;
  ModuleNames target_modules;
  ModuleNames exclude_modules;
  std::vector<std::int64_t> layers_to_transform;  // empty: all
  std::vector<std::string> layers_pattern;        // regular expressions for the name before the layer's number; or none
  // By a regular expression for the end of a module's name; the first that matches counts.
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
};

// The config that `text` spells. Throws Error, beginning with `source`, for ill-typed and impossible values and,
// saying what it is, for all that changes the model and is not LoRA of linear layers alone: another peft_type, DoRA,
// QALoRA, trained biases, modules_to_save, trainable tokens, initial values that change the base model (PiSSA, ...),
// and any option that is set and not known.
PeftConfig parse_peft_config(const std::string& text, const std::string& source);

// Whether peft adapts the module of this name ("model.layers.3.self_attn.q_proj", or "lm_head"). Throws Error for a
// pattern that is no regular expression.
bool is_target(const PeftConfig& config, const std::string& module);
// The module's own rank and alpha.
std::int64_t rank_of(const PeftConfig& config, const std::string& module);
double alpha_of(const PeftConfig& config, const std::string& module);

// What peft reads back as this adapter of a model of `n_layers`. Targets are ends of names, with layers_to_transform
// where not all layers have modules, or whole names where layers have different ones; modules whose rank or alpha is
// their own are named in rank_pattern and alpha_pattern.
nlohmann::json peft_config_json(const LoraAdapter& adapter, std::int64_t n_layers);

}  // namespace csreft
