#include "experiments/training/run_folder.h"

#include <algorithm>
#include <ctime>

#include "core/base/atomic_file.h"
#include "core/base/folder.h"
#include "core/base/json_file.h"
#include "core/base/temporary.h"
#include "core/base/version.h"

namespace csreft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* marker = ".csreft-run";
constexpr std::int64_t marker_format = 1;

// What a process that was killed leaves in a folder in which no run has begun.
bool is_remainder(const std::string& name) {
  const bool begins_run = name.starts_with("config.json.") || name.starts_with(std::string(marker) + ".");
  return name == lock_file_name || (begins_run && is_temporary(name));
}

// Something that belongs to the folder's user; nothing in a folder that counts as empty.
std::string first_content(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (const std::string name = entry.path().filename().string(); !is_remainder(name)) names.push_back(name);
  }
  return names.empty() ? "" : *std::ranges::min_element(names);
}

void remove_run(const fs::path& folder) {
  std::error_code ignored;
  // The state first: without it nothing of the former run is taken for a part of the one that begins.
  for (const char* name : {"state.safetensors", "summary.json", "metrics.jsonl", "validation.jsonl", "sequence.jsonl",
                           "answers.jsonl", "answers-untrained.jsonl", "measured.json", "report.html", "adapter"}) {
    fs::remove_all(folder / name, ignored);
  }
}

std::string marker_text() { return json{{"format", marker_format}, {"version", program_version()}}.dump() + "\n"; }

void check_marker(const fs::path& folder) {
  const fs::path file = folder / marker;
  if (!fs::exists(file)) return;
  const auto format = get_json<std::int64_t>(read_json_object(file), "format", file.string());
  require(format == marker_format, "{} says that the run has format {}: expected {}", file.string(), format,
          marker_format);
}

// Throws Error for a folder that is there and that no new run may have.
void check_free(const fs::path& folder, Replace replace) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return;  // making it says what is wrong
  const std::string name = folder.string();
  if (!holds_run(folder)) {
    const std::string content = first_content(folder);
    require(content.empty(), "{} is not the folder of a run and holds {}: expected a new or an empty folder for --out",
            name, content);
    return;
  }
  check_marker(folder);
  if (replace == Replace::any) return;
  require(!holds_finished_run(folder), "{} holds a finished run: expected another --out, or --force to replace it",
          name);
  if (replace == Replace::unfinished) return;
  const json config = object_in(folder / "config.json");
  const bool can_go_on = config.is_object() && config.value("experiment", json()) == "train";
  fail("{} holds an unfinished run: expected {}--force to replace it, or another --out", name,
       can_go_on ? fmt::format("--resume {} to go on with it, ", name) : "");
}

// Without a slash at its end.
fs::path without_slash(const fs::path& folder) { return folder.has_filename() ? folder : folder.parent_path(); }

std::string time_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  return stamp;
}

}  // namespace

json object_in(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return nullptr;
  try {
    return read_json_object(file);
  } catch (const Error&) {
    return nullptr;
  }
}

json value_at(const json& object, const char* key) { return object.is_object() ? object.value(key, json()) : json(); }

std::string text_at(const json& object, const char* key) {
  const json value = value_at(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

bool holds_run(const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_regular_file(folder / marker, ignored)) return true;
  const json config = object_in(folder / "config.json");
  return config.is_object() && config.value("experiment", json()).is_string() &&
         config.value("arguments", json()).is_array();
}

bool holds_finished_run(const fs::path& folder) {
  const json summary = object_in(folder / "summary.json");
  return summary.is_object() && summary.value("interrupted", json()) == false;
}

fs::path make_dated_folder(std::string_view name) {
  const fs::path runs = "runs";
  make_folder(runs);
  const std::string first = fmt::format("{}-{}", name, time_stamp());
  for (int n = 1;; ++n) {
    const fs::path folder = runs / (n == 1 ? first : fmt::format("{}-{}", first, n));
    std::error_code error;
    // mkdir: of two processes that ask for the same name, one gets it.
    if (fs::create_directory(folder, error)) return folder;
    require(!error, "cannot make folder {}: {}", folder.string(), error.message());
  }
}

RunFolder::RunFolder(fs::path folder, std::vector<fs::path> made)
    : path_(std::move(folder)), made_(std::move(made)), lock_(std::make_unique<ProcessLock>(path_)) {}

RunFolder RunFolder::take(const fs::path& folder, Replace replace) {
  const fs::path place = without_slash(folder);
  check_free(place, replace);
  RunFolder taken(place, make_missing_folders(place));
  check_free(place, replace);  // once more: until now another process could have begun a run in it
  return taken;
}

RunFolder RunFolder::take_new(std::string_view name) {
  std::vector<fs::path> made = make_missing_folders("runs");
  const fs::path folder = make_dated_folder(name);
  made.push_back(folder);
  return {folder, std::move(made)};
}

RunFolder RunFolder::reopen(const fs::path& folder) {
  const fs::path place = without_slash(folder);
  require(holds_run(place), "{} is not the folder of a run: expected one that holds config.json and {}",
          folder.string(), marker);
  check_marker(place);
  RunFolder taken(place, {});
  remove_temporaries(place);
  return taken;
}

RunFolder::~RunFolder() {
  if (lock_ == nullptr) return;
  lock_.reset();
  std::error_code ignored;
  if (!made_.empty()) fs::remove(path_ / marker, ignored);
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) {
    if (!fs::remove(*folder, ignored)) break;  // only what is empty
  }
}

void RunFolder::begin(std::string_view config) {
  const bool replaces = holds_run(path_);
  AtomicFile file(path_ / "config.json");
  file.write(config);
  AtomicFile mark_file(path_ / marker);
  mark_file.write(marker_text());
  if (replaces) {
    fmt::print("note: this replaces the run that was in {}\n", path_.string());
    remove_run(path_);
  }
  // A kill between the two leaves a run without the marker, which can go on; a marker alone could not.
  file.commit();
  mark_file.commit();
  made_.clear();
  remove_temporaries(path_);
}

void RunFolder::go_on() {
  if (!fs::exists(path_ / marker)) write_file_atomically(path_ / marker, marker_text());
}

}  // namespace csreft
