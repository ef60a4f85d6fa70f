#include "tests/endurance/whole_files.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/process_lock.h"
#include "core/base/split.h"
#include "core/base/temporary.h"
#include "core/tensor/safetensors.h"

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// What a run measures: another start measures something else.
constexpr std::array measured{"seconds",           "training_seconds",    "tokens_per_second",
                              "peak_memory_bytes", "milliseconds_a_step", "saved_at"};

bool is_remainder(const std::string& name) { return csreft::is_temporary(name) || name == csreft::lock_file_name; }

// The lines that have their end.
std::vector<std::string_view> whole_lines(std::string_view text) {
  auto lines = csreft::split(text, "\n");
  lines.pop_back();
  return lines;
}

// Not empty either.
void check_json(std::string_view text) { csreft::require(json::accept(text), "it is not JSON"); }

void check_json_lines(const std::string& text) {
  for (const auto line : whole_lines(text)) check_json(line);
}

void check_table(const std::string& text) {
  csreft::require(text.ends_with('\n'), "its last line has no end");
  const auto columns = [](std::string_view line) { return std::ranges::count(line, '\t'); };
  const auto lines = whole_lines(text);
  for (const auto line : lines) csreft::require(columns(line) == columns(lines[0]), "its lines differ in columns");
}

void check_page(const std::string& text) { csreft::require(text.ends_with("</html>\n"), "it does not end as a page"); }

void check_tensors(const fs::path& file) {
  const auto tensors = csreft::SafeTensors::open(file);
  for (const auto& name : tensors.names()) static_cast<void>(tensors.get(name).numel());
}

void check_file(const fs::path& file) {
  const std::string name = file.filename().string(), kind = file.extension().string();
  if (kind == ".safetensors") return check_tensors(file);
  const std::string text = csreft::read_text_file(file);
  if (kind == ".json" || name == ".csreft-run") return check_json(text);
  if (kind == ".jsonl" || kind == ".part") return check_json_lines(text);
  if (kind == ".tsv") return check_table(text);
  if (kind == ".html") return check_page(text);
  csreft::require(kind == ".log", "there is no check for its kind");
}

// The files below `root` that are read, in a fixed order.
std::vector<fs::path> files_below(const fs::path& root) {
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator entry(root), end; entry != end; ++entry) {
    const std::string name = entry->path().filename().string();
    if (is_remainder(name)) {
      entry.disable_recursion_pending();
    } else if (!entry->is_directory()) {
      files.push_back(entry->path());
    }
  }
  std::ranges::sort(files);
  return files;
}

bool has_tensors(const fs::path& folder) {
  return std::ranges::any_of(fs::directory_iterator(folder), [](const fs::directory_entry& entry) {
    return entry.path().extension() == ".safetensors";
  });
}

json without_measured(json value) {
  if (value.is_object()) {
    for (const char* key : measured) value.erase(key);
  }
  if (value.is_structured()) {
    for (auto& part : value) part = without_measured(part);
  }
  return value;
}

std::string lasting_lines(const std::string& text) {
  std::string lines;
  for (const auto line : csreft::split(text, "\n")) {
    lines += (line.empty() ? "" : without_measured(json::parse(line)).dump()) + "\n";
  }
  return lines;
}

// Of each line, the columns that are not measured: their names begin with one of those.
std::string lasting_table(const std::string& text) {
  std::string out;
  std::vector<bool> lasts;
  for (const auto line : whole_lines(text)) {
    const auto cells = csreft::split(line, "\t");
    if (lasts.empty()) {
      for (const auto cell : cells) {
        lasts.push_back(std::ranges::none_of(measured, [cell](const char* name) { return cell.starts_with(name); }));
      }
    }
    for (std::size_t i = 0; i < cells.size(); ++i) out += lasts[i] ? std::string(cells[i]) + "\t" : "";
    out += "\n";
  }
  return out;
}

// `home` is what paths in the file begin with.
std::string lasting_content(const fs::path& file, const std::string& home) {
  const std::string kind = file.extension().string();
  if (kind == ".log" || kind == ".html") return kind;
  std::string text = csreft::read_text_file(file);
  for (std::size_t at = text.find(home); at != std::string::npos; at = text.find(home))
    text.replace(at, home.size(), ".");
  if (kind == ".json") return without_measured(json::parse(text)).dump(1);
  if (kind == ".jsonl") return lasting_lines(text);
  return kind == ".tsv" ? lasting_table(text) : text;
}

}  // namespace

std::vector<std::string> broken_files(const fs::path& root) {
  std::vector<std::string> broken;
  for (const auto& file : files_below(root)) {
    try {
      check_file(file);
    } catch (const std::exception& error) {
      broken.push_back(fmt::format("{}: {}", fs::relative(file, root).string(), error.what()));
    }
    // An adapter is a folder: whole, or not there.
    if (file.filename() == "adapter.json" && !has_tensors(file.parent_path())) {
      broken.push_back(fmt::format("{}: there are no values beside it", fs::relative(file, root).string()));
    }
  }
  return broken;
}

std::map<std::string, std::string> lasting_contents(const fs::path& root) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    // What a killed process has left stays in the list: it must be gone at the end.
    const bool is_left = is_remainder(entry.path().filename().string());
    contents[fs::relative(entry.path(), root).string()] =
        is_left ? "left" : lasting_content(entry.path(), root.parent_path().string());
  }
  return contents;
}
