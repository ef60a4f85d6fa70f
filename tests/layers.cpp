#include "tests/layers.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "tests/source.h"

namespace {

constexpr std::array<std::string_view, 5> libraries{"core", "autograd", "models", "reft", "experiments"};
constexpr std::array<std::string_view, 6> endings{".h", ".cpp", ".cuh", ".cu", ".inc", ".in"};

// A room and how high it lies: arrows go to lower rooms, or stay inside.
struct Room {
  std::string name;
  int height;
};

constexpr std::array<std::pair<std::string_view, int>, 10> rooms{{{"core/base/", 0},
                                                                  {"core/device/", 1},
                                                                  {"core/tensor/", 2},
                                                                  {"core/ops/", 3},
                                                                  {"core/cpu/", 4},
                                                                  {"core/cuda/", 4},
                                                                  {"core/", 5},
                                                                  {"autograd/", 6},
                                                                  {"models/", 7},
                                                                  {"reft/", 8}}};

Room room_of(const std::string& file) {
  for (const auto& [name, height] : rooms) {
    if (file.starts_with(name)) return {std::string(name), height};
  }
  return {"experiments/", static_cast<int>(rooms.size())};
}

bool is_one_of(const std::string& file, std::initializer_list<std::string_view> folders) {
  return std::ranges::any_of(folders, [&](std::string_view folder) { return file.starts_with(folder); });
}

// Why `file` must not include `name`; empty where it may.
std::string reason_against(const std::string& file, const std::string& name) {
  const Room from = room_of(file), to = room_of(name);
  if (to.height > from.height) return "goes up";
  if (to.height == from.height && to.name != from.name) return "goes to the room beside it";
  if (to.name == "core/cuda/" && from.name != to.name && file != "core/registry.cpp") {
    return "includes the CUDA backend, expected the registry alone to do so";
  }
  if (is_one_of(file, {"experiments/cli/", "experiments/report/"}) &&
      is_one_of(name, {"experiments/training/", "reft/methods/"})) {
    return "knows how methods are trained";
  }
  return {};
}

// A header and its source: the path without its ending.
std::string pair_of(const std::string& file) { return std::filesystem::path(file).replace_extension().string(); }

using Arrows = std::map<std::string, std::set<std::string>>;

// Depth first, with the path from the start to the pair that is visited.
class CycleSearch {
 public:
  explicit CycleSearch(const Arrows& arrows) : arrows_(arrows) {}

  std::vector<std::string> run() {
    for (const auto& [pair, _] : arrows_) visit(pair);
    return found_;
  }

 private:
  void visit(const std::string& pair) {
    if (const auto again = std::ranges::find(path_, pair); again != path_.end()) return report(again);
    if (!visited_.insert(pair).second) return;
    path_.push_back(pair);
    if (const auto out = arrows_.find(pair); out != arrows_.end()) {
      for (const auto& next : out->second) visit(next);
    }
    path_.pop_back();
  }

  void report(std::vector<std::string>::const_iterator begin) {
    std::string cycle;
    for (auto pair = begin; pair != path_.end(); ++pair) cycle += *pair + " -> ";
    found_.push_back(cycle + *begin);
  }

  const Arrows& arrows_;
  std::set<std::string> visited_;
  std::vector<std::string> path_, found_;
};

}  // namespace

std::vector<std::string> included_names(const std::string& text) {
  constexpr std::string_view directive = "#include \"";
  std::vector<std::string> names;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
    if (!line.starts_with(directive)) continue;
    names.push_back(line.substr(directive.size(), line.find('"', directive.size()) - directive.size()));
  }
  return names;
}

Includes read_includes() {
  Includes includes;
  for (const auto library : libraries) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(source(std::string(library)))) {
      const std::string ending = entry.path().extension().string();
      if (std::ranges::find(endings, ending) == endings.end()) continue;
      std::ifstream stream(entry.path());
      const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
      includes[entry.path().lexically_relative(source("")).generic_string()] = included_names(text);
    }
  }
  return includes;
}

std::vector<std::string> wrong_arrows(const Includes& includes) {
  std::vector<std::string> wrong;
  for (const auto& [file, names] : includes) {
    for (const auto& name : names) {
      const std::string reason = includes.contains(name) ? reason_against(file, name) : "is no source of these rooms";
      if (!reason.empty()) wrong.push_back(fmt::format("{} -> {}: {}", file, name, reason));
    }
  }
  return wrong;
}

std::vector<std::string> cycles(const Includes& includes) {
  Arrows arrows;
  for (const auto& [file, names] : includes) {
    for (const auto& name : names) {
      if (pair_of(name) != pair_of(file)) arrows[pair_of(file)].insert(pair_of(name));
    }
  }
  return CycleSearch(arrows).run();
}
