#include "experiments/ablations/kept_settings.h"

#include <algorithm>

#include "core/base/atomic_file.h"
#include "core/base/folder.h"
#include "core/base/json_file.h"
#include "core/base/process_lock.h"
#include "core/base/temporary.h"
#include "core/base/version.h"

namespace csreft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Whether a folder holds nothing yet, but what other processes are about to put there.
bool is_unused(const fs::path& folder) {
  return std::ranges::all_of(fs::directory_iterator(folder), [](const fs::directory_entry& entry) {
    return entry.path().filename() == lock_file_name || is_temporary(entry.path());
  });
}

}  // namespace

void keep_settings(const fs::path& folder, const json& wanted, const Fingerprint& model) {
  const auto file = folder / "ablation.json";
  make_folder(folder);
  const ProcessLock lock(folder, IfLocked::wait);
  if (!fs::exists(file)) {
    require(is_unused(folder),
            "{} is not the folder of a comparison and holds other files: expected a new or an empty folder for --out",
            folder.string());
    json made = wanted;
    made["commit"] = program_commit();
    write_file_atomically(file, made.dump(2) + "\n");
    return;
  }
  json saved = read_json_object(file);
  if (saved.contains("model") && saved["model"].is_string() && model.is(saved["model"].get<std::string>())) {
    saved["model"] = wanted["model"];
  }
  const std::string commit = saved.value("commit", "");
  saved.erase("commit");
  const std::string difference = first_difference(saved, wanted);
  require(difference.empty(),
          "{} holds another comparison ({}): expected another --out, or the same data, weights and options",
          folder.string(), difference);
  if (commit != program_commit()) {
    fmt::print("note: {} was begun by another version of this programme: its cells stay\n", folder.string());
  }
}

}  // namespace csreft
