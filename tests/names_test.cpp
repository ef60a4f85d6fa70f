// Who may name a method, a gate or a preset: what lies outside reft/ knows them by their interface.
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "reft/methods/method.h"
#include "reft/presets.h"
#include "tests/source.h"

namespace fs = std::filesystem;

namespace {

std::set<std::string> known_names() {
  std::set<std::string> names;
  for (const auto* method : csreft::methods()) names.emplace(method->name);
  for (const auto* gate : csreft::gates()) names.emplace(gate->name);
  for (const auto& preset : csreft::presets()) names.emplace(preset.name);
  return names;
}

// The names that a source has as strings of their own. A longer text, such as an example in a help, may have them.
std::vector<std::string> names_in(const std::string& source, const std::set<std::string>& names) {
  std::vector<std::string> found;
  std::istringstream lines(source);
  for (std::string line; std::getline(lines, line);) {
    const std::string code = line.substr(0, line.find("//"));
    for (std::size_t begin = code.find('"'); begin != std::string::npos;) {
      const std::size_t end = code.find('"', begin + 1);
      if (end == std::string::npos) break;
      const std::string text = code.substr(begin + 1, end - begin - 1);
      if (names.contains(text)) found.push_back(text);
      begin = code.find('"', end + 1);
    }
  }
  return found;
}

std::string contents(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("methods, gates and presets are named in reft, quickstart and the ablations, and nowhere else" *
          doctest::skip(!has_whole_source())) {
  auto names = known_names();
  // Names of other things, too: the primitive, and a chat template.
  names.erase("softmax");
  names.erase("alpaca");
  CHECK(names_in("if (options.method == \"lora\") {}  // not \"full\"", names) == std::vector<std::string>{"lora"});
  CHECK(names_in("{\"./run train --method lora\"}", names).empty());
  std::size_t files = 0;
  for (const char* room : {"core", "autograd", "models", "experiments"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source(room))) {
      const fs::path& file = entry.path();
      if (file.extension() != ".cpp" && file.extension() != ".h") continue;
      if (file.filename() == "quickstart.cpp" || file.filename() == "ablate.cpp") continue;
      if (file.string().find("/ablations/") != std::string::npos) continue;
      CAPTURE(file.string());
      CHECK(names_in(contents(file), names) == std::vector<std::string>{});
      ++files;
    }
  }
  CHECK(files > 100);
}
