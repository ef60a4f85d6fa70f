#include "reft/adapters/peft_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): pcre2.h reads it.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/base/json_file.h"

namespace csreft {
namespace {

using nlohmann::json;

// Options that say nothing of the adapter's values, or that are read below.
constexpr std::array<std::string_view, 27> known_options{"alpha_pattern",
                                                         "auto_mapping",
                                                         "base_model_name_or_path",
                                                         "bias",
                                                         "exclude_modules",
                                                         "fan_in_fan_out",
                                                         "inference_mode",
                                                         "init_lora_weights",
                                                         "layers_pattern",
                                                         "layers_to_transform",
                                                         "lora_alpha",
                                                         "lora_dropout",
                                                         "megatron_config",
                                                         "megatron_core",
                                                         "peft_type",
                                                         "peft_version",
                                                         "qalora_group_size",
                                                         "r",
                                                         "rank_pattern",
                                                         "revision",
                                                         "target_modules",
                                                         "task_type",
                                                         "use_rslora",
                                                         "loftq_config",
                                                         "eva_config",
                                                         "ensure_weight_tying",
                                                         "runtime_config"};

// What an option that changes the model is, in words.
struct Refused {
  std::string_view key, what;
};
constexpr std::array refused_options{
    Refused{"use_dora", "DoRA"},
    Refused{"use_qalora", "QALoRA"},
    Refused{"lora_bias", "LoRA with a bias in B"},
    Refused{"modules_to_save", "whole modules trained beside LoRA"},
    Refused{"trainable_token_indices", "trained token embeddings"},
    Refused{"target_parameters", "LoRA of bare parameters"},
    Refused{"layer_replication", "replicated layers"},
    Refused{"alora_invocation_tokens", "activated LoRA, which starts at its invocation tokens"},
    Refused{"use_bdlora", "block-diagonal LoRA"},
    Refused{"arrow_config", "Arrow routing"},
};

// False for null, false, 0, and empty texts, lists and objects: an option that is off.
bool is_set(const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value != json(0);
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.empty();
}

void check_supported(const json& config, const std::string& where) {
  require(config.contains("peft_type") || !config.contains("fine_tune_type"),
          "{} is of an adapter of mlx-lm: expected peft_type LORA, as Python's peft writes it", where);
  const auto type = get_json<std::string>(config, "peft_type", where);
  require(type == "LORA", "{}: peft_type is {}: expected LORA", where, type);
  const auto bias = find_json<std::string>(config, "bias", where).value_or("none");
  require(bias == "none", "{}: bias is {}, which trains the base model's biases: expected none", where, bias);
  for (const auto& [key, value] : config.items()) {
    if (!is_set(value) || std::ranges::count(known_options, key) > 0) continue;
    const auto found = std::ranges::find(refused_options, key, &Refused::key);
    require(found == refused_options.end(), "{}: `{}` is {}, that is, {}: expected LoRA of linear layers alone", where,
            key, value.dump(), found == refused_options.end() ? "" : found->what);
    fail("{}: `{}` is {}, which is not known here: expected LoRA of linear layers alone", where, key, value.dump());
  }
}

// How A and B started does not matter, unless it took something from the base model's weights.
void check_start(const json& config, const std::string& where) {
  const auto found = config.find("init_lora_weights");
  if (found == config.end() || found->is_null() || found->is_boolean()) return;
  require(found->is_string(), "{}: `init_lora_weights` is {}: expected true, false or a name", where, found->dump());
  const auto& start = found->get_ref<const std::string&>();
  require(start == "gaussian" || start == "eva" || start == "orthogonal",
          "{}: init_lora_weights is {}, which may change the base model's weights: expected true, false, gaussian, eva "
          "or orthogonal",
          where, start);
}

std::vector<std::string> read_texts(const json& list, const std::string& key, const std::string& where) {
  std::vector<std::string> texts;
  for (const auto& element : list) {
    require(element.is_string(), "{}: `{}` holds {}: expected names", where, key, element.dump());
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

// A text or a list of texts; an empty list if the key is missing or null.
ModuleNames read_names(const json& config, const std::string& key, const std::string& where) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return std::vector<std::string>();
  if (found->is_string()) return found->get<std::string>();
  require(found->is_array(), "{}: `{}` is {}: expected a list of names or a regular expression", where, key,
          found->type_name());
  return read_texts(*found, key, where);
}

std::vector<std::int64_t> read_layers(const json& config, const std::string& where) {
  const std::string key = "layers_to_transform";
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return {};
  std::vector<std::int64_t> layers;
  for (const auto& layer : found->is_array() ? *found : json::array({*found})) {
    require(layer.is_number_integer() && layer >= 0, "{}: `{}` is {}: expected a layer, or a list of them", where, key,
            found->dump());
    layers.push_back(layer.get<std::int64_t>());
  }
  return layers;
}

// In the file's order, which decides between patterns that match both.
template <typename T>
std::vector<std::pair<std::string, T>> read_pattern(const nlohmann::ordered_json& config, const std::string& key,
                                                    const std::string& where) {
  std::vector<std::pair<std::string, T>> pattern;
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return pattern;
  require(found->is_object(), "{}: `{}` is {}: expected an object of numbers", where, key, found->type_name());
  for (const auto& [name, value] : found->items()) {
    pattern.emplace_back(name, get_json<T>(json{{name, json(value)}}, name, fmt::format("{}: `{}`", where, key)));
  }
  return pattern;
}

void check_rank(std::int64_t rank, const std::string& where) {
  require(rank >= 1, "{}: a rank is {}: expected 1 or more", where, rank);
}

void check_values(const PeftConfig& config) {
  const auto& where = config.source;
  check_rank(config.rank, where);
  for (const auto& [_, rank] : config.rank_pattern) check_rank(rank, where);
  require(std::isfinite(config.alpha), "{}: lora_alpha is {}: expected a finite number", where, config.alpha);
  require(0 <= config.dropout && config.dropout < 1, "{}: lora_dropout is {}: expected 0 or more, less than 1", where,
          config.dropout);
  const auto* names = std::get_if<std::vector<std::string>>(&config.target_modules);
  require(names == nullptr || !names->empty(), "{}: `target_modules` is missing or empty: expected names of layers",
          where);
  require(names != nullptr || (config.layers_to_transform.empty() && config.layers_pattern.empty()),
          "{}: layers_to_transform beside target_modules as one text: expected a list of names", where);
  require(config.layers_pattern.empty() || !config.layers_to_transform.empty(),
          "{}: layers_pattern without layers_to_transform: expected both", where);
}

// Python's re.fullmatch.
bool full_match(const std::string& pattern, const std::string& text, const std::string& where) {
  int error = 0;
  PCRE2_SIZE position = 0;
  const std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                    PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &error, &position, nullptr),
      &pcre2_code_free);
  require(code != nullptr, "{}: the pattern {} does not compile at character {}: expected a regular expression", where,
          pattern, position);
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      pcre2_match_data_create_from_pattern(code.get(), nullptr), &pcre2_match_data_free);
  const int matched =
      pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, data.get(), nullptr);
  require(matched >= 0 || matched == PCRE2_ERROR_NOMATCH,
          "{}: the pattern {} cannot be matched (PCRE2 error {}): expected a simpler one", where, pattern, matched);
  return matched >= 0;
}

bool is_named(const ModuleNames& names, const std::string& module, const std::string& where) {
  if (const auto* pattern = std::get_if<std::string>(&names)) {
    return !pattern->empty() && full_match(*pattern, module, where);
  }
  return std::ranges::any_of(std::get<std::vector<std::string>>(names),
                             [&](const std::string& name) { return module == name || module.ends_with("." + name); });
}

bool is_all_linear(const ModuleNames& names) {
  const auto* text = std::get_if<std::string>(&names);
  constexpr std::string_view shorthand = "all-linear";
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  return text != nullptr && std::ranges::equal(*text, shorthand, same);
}

// Whether one of layers_to_transform is the module's.
bool is_in_layers(const PeftConfig& config, const std::string& module) {
  static const std::vector<std::string> any_list{"[^.]*"};
  const auto& lists = config.layers_pattern.empty() ? any_list : config.layers_pattern;
  return std::ranges::any_of(config.layers_to_transform, [&](std::int64_t layer) {
    return std::ranges::any_of(lists, [&](const std::string& list) {
      return full_match(fmt::format(R"((?:.*\.)?(?:{})\.{}\..*)", list, layer), module, config.source);
    });
  });
}

// As peft's get_pattern_key.
template <typename T>
T own_value(const std::vector<std::pair<std::string, T>>& pattern, const std::string& module, T common,
            const std::string& where) {
  for (const auto& [name, value] : pattern) {
    if (full_match(fmt::format(R"((.*\.)?({}))", name), module, where)) return value;
  }
  return common;
}

// Whole numbers without a point, as peft's own files have them.
json number(double value) {
  constexpr double exact = 1e15;
  if (std::abs(value) < exact && value == std::floor(value)) return static_cast<std::int64_t>(value);
  return value;
}

}  // namespace

PeftConfig parse_peft_config(const std::string& text, const std::string& source) {
  const json file = parse_json_object(text, source);
  const auto ordered = nlohmann::ordered_json::parse(text);
  check_supported(file, source);
  check_start(file, source);
  PeftConfig config;
  config.source = source;
  config.rank = get_json<std::int64_t>(file, "r", source);
  config.alpha = get_json<double>(file, "lora_alpha", source);
  config.use_rslora = find_json<bool>(file, "use_rslora", source).value_or(false);
  config.dropout = find_json<double>(file, "lora_dropout", source).value_or(0);
  config.base_model = find_json<std::string>(file, "base_model_name_or_path", source).value_or("");
  config.target_modules = read_names(file, "target_modules", source);
  config.exclude_modules = read_names(file, "exclude_modules", source);
  config.layers_to_transform = read_layers(file, source);
  const auto lists = read_names(file, "layers_pattern", source);
  if (const auto* one = std::get_if<std::string>(&lists); one == nullptr) {
    config.layers_pattern = std::get<std::vector<std::string>>(lists);
  } else if (!one->empty()) {
    config.layers_pattern = {*one};
  }
  config.rank_pattern = read_pattern<std::int64_t>(ordered, "rank_pattern", source);
  config.alpha_pattern = read_pattern<double>(ordered, "alpha_pattern", source);
  check_values(config);
  return config;
}

bool is_target(const PeftConfig& config, const std::string& module) {
  if (is_named(config.exclude_modules, module, config.source)) return false;
  if (is_all_linear(config.target_modules)) return module != "lm_head" && module != "model.embed_tokens";
  if (!is_named(config.target_modules, module, config.source)) return false;
  const auto* names = std::get_if<std::vector<std::string>>(&config.target_modules);
  const bool named_whole = names != nullptr && std::ranges::count(*names, module) > 0;
  return named_whole || config.layers_to_transform.empty() || is_in_layers(config, module);
}

std::int64_t rank_of(const PeftConfig& config, const std::string& module) {
  return own_value(config.rank_pattern, module, config.rank, config.source);
}

double alpha_of(const PeftConfig& config, const std::string& module) {
  return own_value(config.alpha_pattern, module, config.alpha, config.source);
}

json peft_config_json(const LoraAdapter& adapter, std::int64_t n_layers) {
  const auto layers = layers_of(adapter);
  auto targets = targets_of(adapter);
  const bool is_grid = adapter.modules.size() == layers.size() * targets.size();
  const bool all_layers = static_cast<std::int64_t>(layers.size()) == n_layers;
  if (!is_grid) targets.clear();
  json ranks = json::object(), alphas = json::object();
  for (const auto& module : adapter.modules) {
    const auto name = module_name(module.layer, module.site);
    if (!is_grid) targets.push_back(name);
    // Older versions of peft want something in front of what a pattern matches.
    const auto pattern = name.substr(std::string_view("model.").size());
    if (module.rank() != adapter.rank) ranks[pattern] = module.rank();
    if (module.alpha != adapter.alpha) alphas[pattern] = number(module.alpha);
  }
  return {{"peft_type", "LORA"},
          {"task_type", "CAUSAL_LM"},
          {"base_model_name_or_path", adapter.base_model.empty() ? json(nullptr) : json(adapter.base_model)},
          {"r", adapter.rank},
          {"lora_alpha", number(adapter.alpha)},
          {"use_rslora", adapter.use_rslora},
          {"lora_dropout", adapter.dropout},
          {"target_modules", targets},
          {"layers_to_transform", is_grid && !all_layers ? json(layers) : json(nullptr)},
          {"layers_pattern", nullptr},
          {"rank_pattern", ranks},
          {"alpha_pattern", alphas},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"init_lora_weights", true},
          {"modules_to_save", nullptr},
          {"use_dora", false},
          {"revision", nullptr},
          {"auto_mapping", nullptr}};
}

}  // namespace csreft
