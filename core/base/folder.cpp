#include "core/base/folder.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "core/base/error.h"

namespace csreft {

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, "cannot make folder {}: {}", folder.string(), error.message());
  require(access(folder.c_str(), W_OK) == 0, "folder {} is not writable", folder.string());
}

std::vector<std::filesystem::path> make_missing_folders(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> missing;
  std::error_code ignored;
  for (auto at = folder; !at.empty() && !std::filesystem::exists(at, ignored); at = at.parent_path()) {
    missing.push_back(at);
  }
  make_folder(folder);
  std::ranges::reverse(missing);
  return missing;
}

void replace_folder(const std::filesystem::path& made, const std::filesystem::path& folder) {
  const auto check = [&](bool is_done) {
    require(is_done, "cannot write {}: {}", folder.string(), std::strerror(errno));
  };
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return check(std::rename(made.c_str(), folder.c_str()) == 0);
  if (::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) {
    std::filesystem::remove_all(made, error);
    return;
  }
  check(errno == EINVAL || errno == ENOSYS);
  std::filesystem::remove_all(folder, error);
  check(std::rename(made.c_str(), folder.c_str()) == 0);
}

}  // namespace csreft
