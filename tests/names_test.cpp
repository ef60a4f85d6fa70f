// Who may name a method, a gate or a preset: what lies outside reft/ knows them by their interface.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
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

// Where names stand for other things, too: the primitive, and a chat template. And the methods whose speed is measured,
// which figures of other machines and days are compared with, or that soak trains.
const std::map<std::string, std::set<std::string>>& allowed_names() {
  static const std::map<std::string, std::set<std::string>> allowed{
      {"autograd/functions/softmax.cpp", {"softmax"}},
      {"core/cpu/softmax.cpp", {"softmax"}},
      {"core/ops/rows.cpp", {"softmax"}},
      {"experiments/measure/measured_methods.cpp", {"csreft", "lora", "loreft"}},
      {"experiments/measure/random_llama.cpp", {"alpaca"}},
      {"experiments/measure/soak.cpp", {"csreft"}},
      {"models/text/chat_template.cpp", {"alpaca"}}};
  return allowed;
}

// The end of the quoted text that begins at `begin`, past its last quote.
std::size_t end_of_quoted(const std::string& source, std::size_t begin) {
  const char quote = source[begin];
  std::size_t at = begin + 1;
  while (at < source.size() && source[at] != quote) at += source[at] == '\\' ? 2 : 1;
  return std::min(at + 1, source.size());
}

// The end of R"MARK(...)MARK", whose first quote is at `quote`.
std::size_t end_of_raw(const std::string& source, std::size_t quote) {
  const std::size_t open = source.find('(', quote);
  const std::string close = ")" + source.substr(quote + 1, open - quote - 1) + "\"";
  const std::size_t end = source.find(close, open);
  return end == std::string::npos ? source.size() : end + close.size();
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The texts in double quotes, outside of comments.
std::vector<std::string> strings_in(const std::string& source) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at < source.size();) {
    if (source.compare(at, 2, "//") == 0) {
      at = std::min(source.find('\n', at), source.size());
    } else if (source.compare(at, 2, "/*") == 0) {
      const std::size_t end = source.find("*/", at + 2);
      at = end == std::string::npos ? source.size() : end + 2;
    } else if (source.compare(at, 2, "R\"") == 0 && (at == 0 || !is_word(source[at - 1]))) {
      at = end_of_raw(source, at + 1);
    } else if (source[at] == '"') {
      const std::size_t end = end_of_quoted(source, at);
      found.push_back(source.substr(at + 1, end - at - 2));
      at = end;
    } else if (source[at] == '\'' && (at == 0 || !is_word(source[at - 1]))) {  // not of 10'000
      at = end_of_quoted(source, at);
    } else {
      ++at;
    }
  }
  return found;
}

// The names that a source has as strings of their own. A longer text, such as an example in a help, may have them.
std::vector<std::string> names_in(const std::string& source, const std::set<std::string>& names) {
  std::vector<std::string> found;
  for (const auto& text : strings_in(source)) {
    if (names.contains(text)) found.push_back(text);
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

TEST_CASE("names are found in strings, whatever stands before them, and not in comments") {
  const std::set<std::string> names{"full", "lora"};
  using Found = std::vector<std::string>;
  CHECK(names_in("if (options.method == \"lora\") {}  // not \"full\"", names) == Found{"lora"});
  CHECK(names_in("{\"./run train --method lora\"}", names).empty());
  CHECK(names_in("f(\"https://example.org\", \"lora\");", names) == Found{"lora"});
  CHECK(names_in("/* \"full\"\n \"full\" */ \"lora\"", names) == Found{"lora"});
  CHECK(names_in("f('\"', \"lora\", 10'000, \"a \\\" // b\", \"full\")", names) == Found{"lora", "full"});
  CHECK(names_in("f(R\"x(\"full\" // )\")x\", \"lora\")", names) == Found{"lora"});
  CHECK(names_in("\"lora", names).empty());
}

TEST_CASE("methods, gates and presets are named in reft, quickstart and the ablations, and nowhere else" *
          doctest::skip(!has_whole_source())) {
  const auto names = known_names();
  std::size_t files = 0;
  std::set<std::string> unused;
  for (const auto& [file, allowed] : allowed_names()) unused.insert(file);
  for (const char* room : {"core", "autograd", "models", "experiments"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source(room))) {
      const fs::path& file = entry.path();
      if (file.extension() != ".cpp" && file.extension() != ".h") continue;
      if (file.filename() == "quickstart.cpp" || file.filename() == "ablate.cpp") continue;
      if (file.string().find("/ablations/") != std::string::npos) continue;
      const std::string name = file.lexically_relative(source("")).generic_string();
      auto others = names;
      if (const auto found = allowed_names().find(name); found != allowed_names().end()) {
        for (const auto& allowed : found->second) others.erase(allowed);
        if (names_in(contents(file), found->second).size() >= found->second.size()) unused.erase(name);
      }
      CAPTURE(name);
      CHECK(names_in(contents(file), others) == std::vector<std::string>{});
      ++files;
    }
  }
  CHECK(files > 100);
  CHECK(unused == std::set<std::string>{});
}
