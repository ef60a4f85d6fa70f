// What runs were asked to do, as their config.json has it, and in what they differ.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace csreft {

// The names of a run's data of a role ("train", "test"): files, or tasks that the experiment made.
std::vector<std::string> data_of(const nlohmann::json& config, const std::string& role);

// {name: value} of the options of the method and of the training, by the names of their flags ("router-lr"), of some
// flags that were given beside them (--examples, --weights and their like), and of the model and the training data.
// What the config, of any version or none, does not have is left out.
using RunOptions = std::map<std::string, std::string>;
RunOptions options_of(const nlohmann::json& config);

// The names of the options that are not the same in all runs, in alphabetical order.
std::vector<std::string> differing_options(std::span<const RunOptions> runs);
// "lr 0.004, rank 8": those of `names` that the run has.
std::string describe(const RunOptions& run, std::span<const std::string> names);

}  // namespace csreft
