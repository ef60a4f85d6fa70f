#include "experiments/cli/config_flags.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include <CLI/CLI.hpp>

#include "core/base/json_file.h"
#include "core/base/nearest.h"

namespace csreft {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

constexpr std::string_view config_flag = "--config";

bool is_flag(std::string_view word) { return word.starts_with("--"); }

// "rank" of "--rank", "--rank=4".
std::string name_of(std::string_view word) { return std::string(word.substr(2, word.find('=') - 2)); }

// A word as `--config` or `--config=FILE`.
bool is_config(const std::string& word) { return is_flag(word) && "--" + name_of(word) == config_flag; }

// The arguments without --config and its value.
Words without_config(std::span<const std::string> arguments) {
  Words words;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!is_config(arguments[i])) {
      words.push_back(arguments[i]);
    } else if (arguments[i] == config_flag) {
      ++i;
    }
  }
  return words;
}

// Arguments as {name: value}: true for a flag without a value, a text, or a list of texts.
std::vector<std::pair<std::string, json>> values_of(const json& arguments, const std::string& where) {
  std::vector<std::pair<std::string, json>> values;
  for (const json& argument : arguments) {
    require(argument.is_string(), "{}: `arguments` has {}: expected a list of strings", where, argument.dump());
    const auto word = argument.get<std::string>();
    if (!is_flag(word)) {
      if (values.empty()) continue;  // which of its kind a command is: "router" of ablate
      json& value = values.back().second;
      if (value.is_boolean()) value = json::array();
      value.push_back(word);
      continue;
    }
    const std::string name = name_of(word);
    auto found = std::ranges::find(values, name, &std::pair<std::string, json>::first);
    std::pair<std::string, json> entry{name, true};
    if (found != values.end()) {
      entry.second = std::move(found->second);
      values.erase(found);
    }
    if (const std::size_t equals = word.find('='); equals != std::string::npos) {
      if (entry.second.is_boolean()) entry.second = json::array();
      entry.second.push_back(word.substr(equals + 1));
    }
    values.push_back(std::move(entry));
  }
  for (auto& [name, value] : values) {
    if (value.is_array() && value.size() == 1) value = json(value.front());
  }
  return values;
}

std::string word_of(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

bool is_scalar(const json& value) { return value.is_string() || value.is_number(); }

bool is_list_of_scalars(const json& value) { return value.is_array() && std::ranges::all_of(value, is_scalar); }

// Flags of an app that one file gives.
class ConfigReader {
 public:
  ConfigReader(const ConfigFlags& config, const CLI::App& app) : path_(config.path), app_(app) {}

  const CLI::Option& find(const std::string& name) const {
    const auto* option = app_.get_option_no_throw("--" + name);
    if (option != nullptr && "--" + name != config_flag) return *option;
    std::vector<std::string_view> names;
    for (const auto* known : app_.get_options()) {
      for (const auto& known_name : known->get_lnames()) names.push_back(known_name);
    }
    fail("{}: unknown key `{}`{}: expected the name of a flag that {} --help lists, without dashes", path_, name,
         suggestion(name, names), app_.get_name());
  }

  // What the command line says in place of the file.
  Words words(const std::string& name, const json& value) const {
    const CLI::Option& option = find(name);
    const bool is_switch = option.get_items_expected_max() == 0, takes_several = option.get_expected_max() > 1;
    if (is_switch) return switch_words(name, value, option);
    if (takes_several && is_list_of_scalars(value)) {
      Words all;
      for (const json& element : value) all.push_back(fmt::format("--{}={}", name, word_of(element)));
      return all;
    }
    const std::string type = option.get_type_name();
    const bool is_number = type == "INT" || type == "UINT" || type == "FLOAT";
    if (is_scalar(value)) return {fmt::format("--{}={}", name, word_of(value))};
    if (!is_number && is_list_of_scalars(value)) return {fmt::format("--{}={}", name, joined(value))};
    fail("{}: `{}` is {}: expected {} for --{}", path_, name, value.dump(),
         is_number ? "a number" : "a text, a number or a list of them", name);
  }

 private:
  Words switch_words(const std::string& name, const json& value, const CLI::Option& option) const {
    require(value.is_boolean(), "{}: `{}` is {}: expected true or false for --{}", path_, name, value.dump(), name);
    if (value.get<bool>()) return {"--" + name};
    const std::string opposite = name.starts_with("no-") ? name.substr(3) : "no-" + name;
    return option.check_lname(opposite) ? Words{"--" + opposite} : Words{};  // one without an opposite is not given
  }

  static std::string joined(const json& list) {
    std::string text;
    for (const json& element : list) text += (text.empty() ? "" : ",") + word_of(element);
    return text;
  }

  const std::string& path_;
  const CLI::App& app_;
};

}  // namespace

ConfigFlags read_config_flags(const std::string& path) {
  constexpr std::array places{"out", "force", "resume", "config"};
  const json object = read_json_object(path);
  ConfigFlags config{.path = path};
  if (object.contains("experiment") && object.contains("arguments") && object["arguments"].is_array()) {
    config.values = values_of(object["arguments"], path);
    std::erase_if(config.values,
                  [&](const auto& entry) { return std::ranges::find(places, entry.first) != places.end(); });
    return config;
  }
  for (const auto& [key, value] : object.items()) {
    std::string name = key;
    std::ranges::replace(name, '_', '-');
    config.values.emplace_back(std::move(name), value);
  }
  return config;
}

std::optional<ConfigFlags> config_of(std::span<const std::string> arguments) {
  std::optional<ConfigFlags> config;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!is_config(arguments[i])) continue;
    const std::size_t equals = arguments[i].find('=');
    const bool is_apart = equals == std::string::npos;
    require(!is_apart || i + 1 < arguments.size(), "--config has no value: expected --config FILE");
    require(!config, "--config is given twice: expected once");
    config = read_config_flags(is_apart ? arguments[++i] : arguments[i].substr(equals + 1));
  }
  return config;
}

std::vector<std::string> with_config(std::span<const std::string> arguments, const CLI::App& app) {
  const auto config = config_of(arguments);
  if (!config) return {arguments.begin(), arguments.end()};
  Words words = without_config(arguments);
  std::set<const CLI::Option*> given;
  for (const auto& word : words) {
    if (is_flag(word)) given.insert(app.get_option_no_throw("--" + name_of(word)));
  }
  const ConfigReader reader(*config, app);
  for (const auto& [name, value] : config->values) {
    if (given.contains(&reader.find(name))) continue;
    const Words more = reader.words(name, value);
    words.insert(words.end(), more.begin(), more.end());
  }
  return words;
}

std::vector<std::string> with_unchecked_config(std::span<const std::string> arguments) {
  const auto config = config_of(arguments);
  Words words = without_config(arguments);
  if (!config) return words;
  for (const auto& [name, value] : config->values) {
    if (is_scalar(value)) words.push_back(fmt::format("--{}={}", name, word_of(value)));
  }
  return words;
}

}  // namespace csreft
