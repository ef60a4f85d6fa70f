#include "core/base/atomic_folder.h"

#include <system_error>

#include "core/base/error.h"
#include "core/base/folder.h"
#include "core/base/temporary.h"

namespace csreft {

namespace fs = std::filesystem;

AtomicFolder::AtomicFolder(const fs::path& place) {
  // "out/" is "out": the temporary folder lies beside it, not in it.
  place_ = fs::absolute(place).lexically_normal();
  if (!place_.has_filename()) place_ = place_.parent_path();
  std::error_code error;
  const bool is_folder = fs::is_directory(place_, error);
  require(is_folder || !fs::exists(place_, error), "cannot write folder {}: it is a file, expected a new folder",
          place.string());
  require(!is_folder || fs::is_empty(place_, error), "folder {} is not empty: expected a new or an empty folder",
          place.string());
  make_folder(place_.parent_path());
  remove_abandoned(place_);
  bool is_new = false;
  for (int n = 0; !is_new; ++n) {
    temporary_ = temporary_path(place_, n);
    is_new = fs::create_directory(temporary_, error);
    require(!error, "cannot make folder {}: {}", place.string(), error.message());
  }
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  std::error_code error;
  fs::rename(temporary_, place_, error);
  require(!error, "cannot write folder {}: {}", place_.string(), error.message());
  temporary_.clear();
}

}  // namespace csreft
