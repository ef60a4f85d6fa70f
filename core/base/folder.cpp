#include "core/base/folder.h"

#include <system_error>

#include <unistd.h>

#include "core/base/error.h"

namespace csreft {

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, "cannot make folder {}: {}", folder.string(), error.message());
  require(access(folder.c_str(), W_OK) == 0, "folder {} is not writable", folder.string());
}

}  // namespace csreft
