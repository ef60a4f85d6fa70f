#include "experiments/training/run_options.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include <fmt/ranges.h>

#include "core/base/options.h"
#include "experiments/tasks/task.h"
#include "experiments/training/run_folder.h"

namespace csreft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Flags that change what a run does and are no options of its method or training.
constexpr std::array<std::string_view, 6> other_flags{"--examples", "--tests",      "--metric",
                                                      "--weights",  "--validation", "--chat-template"};

// What follows a flag among the arguments, up to the next one.
std::vector<std::string> words_after(const json& arguments, std::string_view flag) {
  std::vector<std::string> words;
  bool is_after = false;
  for (const auto& argument : arguments) {
    if (!argument.is_string()) continue;
    const auto word = argument.get<std::string>();
    if (word.starts_with("--")) {
      is_after = word == flag;
      if (word.starts_with(std::string(flag) + "=")) words.push_back(word.substr(flag.size() + 1));
    } else if (is_after) {
      words.push_back(word);
    }
  }
  return words;
}

void add(RunOptions& options, const std::string& name, const std::string& value) {
  if (!value.empty()) options[name] = value;
}

}  // namespace

// Earlier versions kept the names in the arguments alone.
std::vector<std::string> data_of(const json& config, const std::string& role) {
  std::vector<std::string> names;
  for (const json& file : value_at(value_at(config, "data"), role.c_str())) {
    const std::string task = text_at(file, "task");
    names.push_back(task_stem(task.empty() ? fs::path(text_at(file, "path")).stem().string() : task));
  }
  if (!names.empty()) return names;
  for (const auto& file : words_after(value_at(config, "arguments"), "--" + role)) {
    names.push_back(task_stem(fs::path(file).stem().string()));
  }
  return names;
}

RunOptions options_of(const json& config) {
  RunOptions options;
  for (const char* part : {"train", "method"}) {
    const json values = value_at(config, part);
    if (!values.is_object()) continue;
    for (const auto& [name, value] : values.items()) {
      if (name == "method") continue;  // the method itself, which stands beside its scores
      add(options, flag_of(name).substr(2), value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  const json arguments = value_at(config, "arguments");
  for (const auto flag : other_flags) {
    add(options, std::string(flag.substr(2)), fmt::format("{}", fmt::join(words_after(arguments, flag), ",")));
  }
  add(options, "model", text_at(value_at(config, "model"), "name"));
  add(options, "train", fmt::format("{}", fmt::join(data_of(config, "train"), ",")));
  return options;
}

std::vector<std::string> differing_options(std::span<const RunOptions> runs) {
  std::set<std::string> names;
  for (const auto& run : runs) {
    for (const auto& [name, value] : run) names.insert(name);
  }
  std::vector<std::string> differing;
  for (const auto& name : names) {
    const auto has_first = [&](const RunOptions& run) {
      const auto here = run.find(name), first = runs.front().find(name);
      const bool is_here = here != run.end(), is_first = first != runs.front().end();
      return is_here == is_first && (!is_here || here->second == first->second);
    };
    if (!std::ranges::all_of(runs, has_first)) differing.push_back(name);
  }
  return differing;
}

std::string describe(const RunOptions& run, std::span<const std::string> names) {
  std::vector<std::string> texts;
  for (const auto& name : names) {
    if (const auto found = run.find(name); found != run.end()) {
      texts.push_back(fmt::format("{} {}", name, found->second));
    }
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace csreft
