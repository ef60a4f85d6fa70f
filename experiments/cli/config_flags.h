// --config FILE: flags of a command from a JSON object, {"rank": 8, "train": ["a.json", "b.json"], "tied": true}.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace CLI {
class App;
}  // namespace CLI

namespace csreft {

struct ConfigFlags {
  std::string path;
  std::vector<std::pair<std::string, nlohmann::json>> values{};  // by the flag's name without dashes, which are - in it
};

// The flags of a file. A run's own config.json stands for its arguments, without those that say where it was: out,
// force and resume. Throws Error for a file that is not there or holds no JSON object.
ConfigFlags read_config_flags(const std::string& path);

// The file that --config names among the arguments, read; nothing if none is named. Throws Error as read_config_flags
// does, and for two.
std::optional<ConfigFlags> config_of(std::span<const std::string> arguments);

// The arguments without --config, and behind them what its file gives to flags that are not among them. `app` says
// which flags there are and what they take. Throws Error, naming the key, for one that is no flag, with the nearest,
// and for a value of another type than the flag takes.
std::vector<std::string> with_config(std::span<const std::string> arguments, const CLI::App& app);

// The arguments, and behind them what its file gives to flags, as it is: for those who look at the arguments before the
// flags are made.
std::vector<std::string> with_unchecked_config(std::span<const std::string> arguments);

}  // namespace csreft
