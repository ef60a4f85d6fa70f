// The folder of a run: which folders may become one, and who may write in it.
//
// A folder holds a run if it has the file .csreft-run, or, of a time before that file, a config.json with the keys
// `experiment` and `arguments`. Nothing else is ever changed or removed. While a RunFolder lives, no other process can
// have one of the same folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/process_lock.h"

namespace csreft {

// The former run whose place a new one may take.
enum class Replace { nothing, unfinished, any };

class RunFolder {
 public:
  // A folder for a new run: one that is not there (it is made), that is empty, or that holds a run that `replace`
  // allows. Nothing in it changes before begin(). Throws Error for any other, and FolderInUse.
  static RunFolder take(const std::filesystem::path& folder, Replace replace = Replace::nothing);
  // A new folder runs/NAME-20261124-153000, with -2, -3, ... behind it where the name is taken.
  static RunFolder take_new(std::string_view name);
  // A folder that holds a run, to go on with it. Throws Error for any other, and FolderInUse.
  static RunFolder reopen(const std::filesystem::path& folder);

  RunFolder(RunFolder&&) noexcept = default;
  RunFolder& operator=(RunFolder&&) = delete;
  // Releases the folder; removes what take() made if no run has begun in it.
  ~RunFolder();

  const std::filesystem::path& path() const { return path_; }
  // From here on the folder holds the run that `config`, the text of config.json, describes; what a former run has left
  // is removed, and that is said on stdout. Throws Error if that cannot be written; the former run is then still there.
  void begin(std::string_view config);
  // The run goes on: it gets the marker if a kill, or an earlier version, has left it without. Throws Error as begin().
  void go_on();

 private:
  RunFolder(std::filesystem::path folder, std::vector<std::filesystem::path> made);

  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // the outermost first; empty: all was there, or a run has begun
  std::unique_ptr<ProcessLock> lock_;
};

// The JSON object in a file of a run; null for a file that is not there or holds none.
nlohmann::json object_in(const std::filesystem::path& file);
// The value of a key, null where there is none or no object; and its text, empty where it is none.
nlohmann::json value_at(const nlohmann::json& object, const char* key);
std::string text_at(const nlohmann::json& object, const char* key);

bool holds_run(const std::filesystem::path& folder);
// Whether the folder's summary.json says that its run came to its end.
bool holds_finished_run(const std::filesystem::path& folder);

// Makes a new folder runs/NAME-TIME, as RunFolder::take_new does, for what is no run.
std::filesystem::path make_dated_folder(std::string_view name);

}  // namespace csreft
